"""What agents are offered over the Model Context Protocol: the admin API as a few tools.

This room must not know how the admin API is reached: it is given a way to call it, and calls it as its caller may.
"""
