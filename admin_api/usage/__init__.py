"""What was used, what it cost, and what it would cost."""
