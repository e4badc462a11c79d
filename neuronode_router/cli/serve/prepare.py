"""Everything of `neuronode serve` that can be refused before a process is started.

It must not know how processes are run or watched.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from neuronode_router import private_files
from neuronode_router.cli.effective import (
    Plan,
    deployments_of,
    dump_config,
    effective_config,
    make_plan,
)
from neuronode_router.cli.references import environment_of
from neuronode_router.cli.serve.backends import find_backends
from neuronode_router.cli.serve.embedded import EmbeddedAddress, find_weights
from neuronode_router.cli.serve.import_path import EXTEND_HOOK
from neuronode_router.cli.serve.litellm_start import HOOKS_VARIABLE, PLUGIN_HOOK
from neuronode_router.cli.serve.master_key import VARIABLE, MasterKey, find_master_key
from neuronode_router.control.store import ControlStore
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.environment import stated
from neuronode_router.errors import (
    Problem,
    ProfilesInvalid,
    SchemaTooNew,
    SettingsError,
    StateUnreadable,
    StoreUnavailable,
)
from neuronode_router.metrics.catalogue import DIRECTORY_VARIABLE
from neuronode_router.profiles.configuration import Config, read_config, section
from neuronode_router.profiles.files import ProfileFiles
from neuronode_router.settings import Settings, variable

PROXY_VARIABLES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the proxy listens, and in how many worker processes."""

    host: str
    port: int
    workers: int

    @property
    def url(self) -> str:
        """An address at which this machine reaches the proxy."""
        here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://{f'[{here}]' if ':' in here else here}:{self.port}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the processes are started with."""

    plan: Plan
    key: MasterKey
    embedded: EmbeddedAddress | None
    effective: Path
    warnings: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)


@asynccontextmanager
async def prepared(settings: Settings, environ: Mapping[str, str], listen: Listen) -> AsyncIterator[Prepared]:
    """Check everything, find the backends, write the effective configuration.

    Variables of `environ` that are empty count as unset, for LiteLLM too. The state directory and a port for the
    embedded model stay ours until the context ends. Raises `SettingsError`, `ProfilesInvalid` where no earlier
    good set of profiles can serve, and `SchemaTooNew` or `StateUnreadable` where this release cannot serve what is
    in force.
    """
    environ = stated(environ)
    config = read_config(settings.config)
    deployments = deployments_of(config)
    _require_free(listen)
    with _state_dir_lock(settings.state_dir), reserved_port() as port:
        key = find_master_key(environ, config, settings.state_dir / "master_key")
        backends = await find_backends(config, deployments, environ)
        backends.require_sendable(deployments)
        plan = make_plan(deployments, backends.missing)
        warnings = _check_state(
            settings, ProfileFiles(settings.profiles).check(HostFacts(groups=plan.groups))
        )
        if plan.embedded:
            find_weights()
        address = EmbeddedAddress(port, secrets.token_urlsafe(24)) if plan.embedded else None
        derived = effective_config(
            config,
            plan,
            embedded=address,
            custom_auth=_uses_access_file(settings, environment_of(config, environ), config),
            port=listen.port,
        )
        effective = settings.state_dir / "effective_config.yaml"
        _write_private(effective, dump_config(derived))
        yield Prepared(
            plan=plan,
            key=key,
            embedded=address,
            effective=effective,
            warnings=(*warnings, *(f"left out: {deployment}" for deployment in plan.left_out)),
            environ=litellm_environ(environ, settings, key) | _metrics(environ, settings, listen),
        )


def litellm_environ(environ: Mapping[str, str], settings: Settings, key: MasterKey) -> dict[str, str]:
    """Return the environment LiteLLM is started with."""
    hooks = [hook for hook in environ.get(HOOKS_VARIABLE, "").split(",") if hook.strip()]
    result = {
        # LiteLLM would ask GitHub for prices at every start, and wait for it.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DONT_SHOW_FEEDBACK_BOX": "true",
        # No line for each request: each costs CPU time (benchmarks/plugin_overhead: bare+no-access-log).
        "LITELLM_LOG": "WARNING",
        **environ,
        HOOKS_VARIABLE: ",".join([*hooks, EXTEND_HOOK, *([] if PLUGIN_HOOK in hooks else [PLUGIN_HOOK])]),
        VARIABLE: key.secret,
        variable("config"): str(settings.config),
        variable("profiles"): str(settings.profiles),
        variable("state_dir"): str(settings.state_dir),
    }
    if any(environ.get(name) for name in PROXY_VARIABLES):
        # A company's proxy cannot reach the embedded model on this machine.
        bypass = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        result["no_proxy"] = result["NO_PROXY"] = ",".join(filter(None, [bypass, "127.0.0.1"]))
    # Without cached bytecode every worker compiles LiteLLM anew: tens of seconds.
    result.pop("PYTHONDONTWRITEBYTECODE", None)
    return result


def _metrics(environ: Mapping[str, str], settings: Settings, listen: Listen) -> dict[str, str]:
    """Return where several workers add up what they count: an empty directory. What a run before counted is over."""
    directory = Path(environ.get(DIRECTORY_VARIABLE) or settings.state_dir / "metrics")
    if listen.workers == 1 and DIRECTORY_VARIABLE not in environ:
        return {}
    try:
        private_files.make_directory(directory)
        for file in directory.glob("*.db"):
            file.unlink()
    except OSError as error:
        raise SettingsError(
            f"The metrics directory {directory} cannot be used: {error.strerror}.",
            fix=f"Name a writable one in {DIRECTORY_VARIABLE}.",
        ) from error
    return {DIRECTORY_VARIABLE: str(directory)}


def _check_state(settings: Settings, problems: Sequence[Problem]) -> tuple[str, ...]:
    """Return what is wrong with the profile files, and that the store does not answer.

    Raises `ProfilesInvalid` where no earlier good set can serve, and what `ControlStore.require_readable` does.
    """
    with closing(ControlStore(settings.state_url)) as store:
        try:
            store.require_readable()
            if problems and store.revision() == 0:
                raise ProfilesInvalid(problems)
        except StoreUnavailable as error:
            if problems or isinstance(error, SchemaTooNew | StateUnreadable):
                raise
            return (f"{error} Until it answers no profile is in force here.",)
    return (*map(str, problems), "the last good profiles keep serving") if problems else ()


def _require_free(listen: Listen) -> None:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((listen.host, listen.port))
    except OSError as error:
        raise SettingsError(
            f"{listen.host}:{listen.port} cannot be used: {error.strerror or error}.",
            fix="Stop what listens there, or choose another port with --port.",
        ) from error


@contextmanager
def _state_dir_lock(state_dir: Path) -> Iterator[None]:
    """Make the directory and lock it: two services would overwrite each other's effective configuration."""
    try:
        private_files.make_file(state_dir / "serve.lock")
        lock = (state_dir / "serve.lock").open("w")
    except OSError as error:
        raise SettingsError(
            f"The state directory {state_dir} cannot be used: {error.strerror}.",
            fix="Name a writable one with --state-dir.",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingsError(
                f"Another `neuronode serve` uses the state directory {state_dir}.",
                fix="Stop it, or name another directory with --state-dir.",
            ) from error
        yield


@contextmanager
def reserved_port() -> Iterator[int]:
    """Keep a loopback port reserved, so that a restarted embedded server finds it free.

    The socket never listens, so the server that shares the port gets every connection.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind(("127.0.0.1", 0))
        yield reservation.getsockname()[1]


def _uses_access_file(settings: Settings, environ: Mapping[str, str], config: Config) -> bool:
    general = section(config, "general_settings")
    has_database = bool(environ.get("DATABASE_URL") or general.get("database_url"))
    has_own_auth = bool(general.get("custom_auth"))
    return settings.access_file is not None and not has_database and not has_own_auth


def _write_private(path: Path, text: str) -> None:
    """Replace a file atomically; only its owner may read it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from error
