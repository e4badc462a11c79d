"""Automatic routing of a worker: `auto` requests from their body to a Decision, what is kept of it, and what is learned.

This room knows neither LiteLLM nor HTTP.
"""
