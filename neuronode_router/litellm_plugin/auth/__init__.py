"""Who calls, what they may, and what they have spent, as LiteLLM knows it."""
