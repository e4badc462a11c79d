"""How the shipped weights are made: nothing here is imported while serving."""
