"""How tests name the callbacks of `recorder` to a proxy, without importing LiteLLM themselves."""

RECORDER = "tests.support.recorder.recorder"
"""The dotted path of the recording callback."""
RECORD = "TEST_RECORD"
"""The environment variable that names the file to append to."""
MEDDLE = "/test/aliases"
"""The route that replaces the live alias map of the worker that answers."""
