"""`neuronode doctor`: the traps of running LiteLLM with the plugin, each with the way out.

Four kinds of checks: of the configuration, of how it is launched, of what it needs to reach, of a running proxy.
They must not change anything.
"""
