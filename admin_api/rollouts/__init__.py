"""Whether the profiles are valid, and whether their groups answer."""
