"""Imported before LiteLLM where forks share it: all that it makes stays, so no collector need look at it."""

import gc

gc.disable()
