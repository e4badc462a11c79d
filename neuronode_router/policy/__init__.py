"""The policy: one document of windows and rules, and the engine that says what should be active and why.

Pure: clock and facts come in as arguments. It knows no store, no HTTP and no LiteLLM.
"""
