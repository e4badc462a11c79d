"""Control state: the SQL store, the ProfileManager, wake-ups, worker convergence and the audit chain.

This room knows neither profile files nor LiteLLM: both are behind the protocols of `ports`.
"""
