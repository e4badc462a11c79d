"""Rollouts: a growing share of the conversations tries something, watched."""
