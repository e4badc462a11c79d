"""Rollouts, simulated: how often equal arms are called unequal, and how many requests a worse one harms."""
