"""Latency, speed, errors and queue depth per deployment, in this process or shared through Redis.

This room knows no LiteLLM, no prompt and no profile: only deployment ids and numbers. docs/statistics.md explains them.
"""
