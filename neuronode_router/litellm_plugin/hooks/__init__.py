"""What LiteLLM calls for a request: admission, attempts, usage, and the metadata that travels between them."""
