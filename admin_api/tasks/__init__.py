"""The task API: templates, run in the caller's own name."""
