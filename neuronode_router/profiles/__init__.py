"""Profile files: schema, reading with positions, writing with comments kept, rendering into LiteLLM's configuration.

This room knows neither SQL nor LiteLLM: what the host offers comes in as `HostFacts`.
"""
