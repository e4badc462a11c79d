"""Whether Redis, the SQL store and the backends that a configuration names can be reached from here.

It must not wait long, nor create or migrate anything, nor load a model into an Ollama.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from neuronode_router.cli.compose import Launch
from neuronode_router.cli.doctor.finding import Document, Finding, Subject, names, runs_on_ollama
from neuronode_router.cli.serve.backends import Backends, find_backends, stated_backends
from neuronode_router.control.store import ControlStore
from neuronode_router.errors import SchemaTooNew, SettingsError, StateUnreadable, StoreUnavailable
from neuronode_router.foreign import described
from neuronode_router.redis.client import check

SECONDS = 2
"""How long each may take to answer."""
UNREADABLE = "its address cannot be read"


def redis_answers(subject: Subject) -> Iterator[Finding]:
    """Redis wakes workers and shares statistics; no request needs it."""
    url = subject.settings.redis_url
    fault = _silent_redis(url) if url else None
    if fault:
        fix = "Start it, or fix the address; requests work without it."
        yield Finding("problem", "redis_unreachable", "NEURONODE_REDIS_URL", f"Redis: {fault}.", fix)


def _silent_redis(url: str) -> str | None:
    from redis import Redis, RedisError
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    limits = {"socket_connect_timeout": SECONDS, "socket_timeout": SECONDS}
    try:
        check(url)
        with Redis.from_url(url, retry=Retry(NoBackoff(), 0), **limits) as client:
            client.ping()
    except (RedisError, OSError) as error:
        return described(error)
    except (SettingsError, ValueError, TypeError, AttributeError):
        return UNREADABLE
    return None


def store_answers(subject: Subject) -> Iterator[Finding]:
    """Without the store nothing can be switched; the last revision keeps serving."""
    url = subject.settings.state_url
    if url.startswith("sqlite"):
        fault = _unusable_file(url)
        fix = "Name a writable directory with --state-dir or NEURONODE_STATE_DIR."
    else:
        fault = _silent_database(url)
        fix = "Start the database, or fix the address."
    if fault:
        yield Finding("problem", "store_unreachable", "NEURONODE_STATE_URL", f"The store: {fault}.", fix)


def store_is_readable(subject: Subject) -> Iterator[Finding]:
    """What an earlier release cannot take up it does not serve: LiteLLM's own aliases would answer."""
    try:
        with closing(ControlStore(subject.settings.state_url)) as store:
            store.require_readable()
    except (SchemaTooNew, StateUnreadable) as error:
        yield Finding(
            "problem",
            "schema_too_new" if isinstance(error, SchemaTooNew) else "state_unreadable",
            "NEURONODE_STATE_URL",
            error.message,
            error.fix,
        )
    except (StoreUnavailable, SettingsError):
        return  # the check before this one says so


def _unusable_file(url: str) -> str | None:
    _, _, name = url.partition(":///")
    if "?" in name:
        return UNREADABLE
    file = Path(name)
    if file.exists():
        return None if os.access(file, os.R_OK | os.W_OK) else "its file cannot be read and written"
    nearest = next((folder for folder in file.parents if folder.exists()), None)
    if nearest is None or not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        return "its file cannot be created"
    return None


def _silent_database(url: str) -> str | None:
    import psycopg

    _, _, address = url.partition("://")
    try:
        with psycopg.connect(f"postgresql://{address}", connect_timeout=SECONDS) as connection:
            connection.execute("SELECT 1")
    except (psycopg.ProgrammingError, ValueError):
        return UNREADABLE
    except psycopg.Error as error:
        return described(error)
    return None


def backends_answer(subject: Subject) -> Iterator[Finding]:
    """An Ollama that is away or lacks a model, and providers whose key is not set.

    What a service finds at an address is not what is found there from here: its Ollamas are not asked.
    """
    deployments = [deployment for _, deployment in subject.deployments]
    for launch in subject.running:
        backends = (
            stated_backends(subject.config, launch.environ)
            if launch.is_service
            else asyncio.run(find_backends(subject.config, deployments, launch.environ))
        )
        yield from _unusable(launch, backends, deployments)


def _unusable(launch: Launch, backends: Backends, deployments: Iterable[Document]) -> Iterator[Finding]:
    reasons: dict[tuple[bool, str], list[str]] = {}
    for deployment in deployments:
        if why := backends.missing(deployment):
            # An address that is not set is a choice, as a key is; one that is set and useless is a fault.
            key = (runs_on_ollama(deployment) and not why.endswith("is not set"), why)
            reasons.setdefault(key, []).append(str(deployment.get("model_name")))
    for (ollama, why), groups in reasons.items():
        yield Finding(
            "problem" if ollama else "advice",
            "ollama_unusable" if ollama else "backend_not_configured",
            launch.place(names(groups)),
            f"{why}.",
            _backend_mend(launch, ollama=ollama),
        )


def _backend_mend(launch: Launch, *, ollama: bool) -> str:
    if ollama:
        return "Start Ollama at the api_base of these groups, and `ollama pull` what they name."
    if launch.is_service:
        return "Set it for the service; until then these groups answer with an error."
    return "Set it; until then `neuronode serve` answers these groups with the built-in tiny model."


CHECKS = (redis_answers, store_answers, store_is_readable, backends_answer)
