"""What was used, what it cost and what it would cost: counted per minute, kept in SQL, reported and forecast.

This room knows no LiteLLM, no HTTP, no prompt and no key: only names, numbers and profiles. docs/usage.md explains it.
"""
