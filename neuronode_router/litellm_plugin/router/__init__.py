"""What we do to LiteLLM's router and read from it: aliases, the choice within a group, cooldowns, deployments."""
