"""The worker processes: what they serve, whether they are well, what they count."""
