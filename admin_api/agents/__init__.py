"""Tools for agents, over HTTP."""
