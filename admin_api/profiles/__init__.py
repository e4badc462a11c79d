"""Which profile is in force, what the profiles say, and every change of that."""
