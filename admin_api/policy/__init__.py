"""What should be active, why, and what will be."""
