"""Automatic routing of a worker: an `auto` request becomes a Decision, which is logged, kept and learned from.

This room knows neither LiteLLM nor HTTP.
"""
