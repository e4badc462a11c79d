"""The `neuronode` command: serve, audit, and what operators do from a terminal.

This room must not import litellm: `serve` starts it as a child process.
"""
