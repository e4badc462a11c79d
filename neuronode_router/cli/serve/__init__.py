"""`neuronode serve`: LiteLLM with the plugin, from what is found on the machine to the running processes."""
