"""Automatic routing: how deployments stand, dry runs, feedback."""
