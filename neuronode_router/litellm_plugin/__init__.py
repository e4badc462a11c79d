"""The bridge to LiteLLM: admission hooks, alias target, drift guard, identity, start-up.

The only room that may import litellm. Nothing in it may make the proxy slower or take it down.
"""
