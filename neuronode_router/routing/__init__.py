"""From a requested name to a Decision: pure, synchronous, without I/O.

This room knows neither LiteLLM nor where its inputs come from.
"""
