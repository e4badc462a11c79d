"""How well and how fast the classifier works, next to others on the same data."""
