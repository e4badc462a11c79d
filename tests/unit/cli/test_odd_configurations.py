"""Whatever stands in a configuration of LiteLLM, or in a compose file: `serve`, `doctor` and `init` refuse or go on."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import datetime
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neuronode_router.cli.compose import compose_files, litellm_services
from neuronode_router.cli.doctor import command as doctor
from neuronode_router.cli.doctor import launching
from neuronode_router.cli.doctor.finding import Subject
from neuronode_router.cli.doctor.reaching import backends_answer
from neuronode_router.cli.effective import deployments_of, dump_config, effective_config, make_plan
from neuronode_router.cli.init.command import _require_valid
from neuronode_router.cli.init.files import new_files
from neuronode_router.cli.init.groups import text_groups
from neuronode_router.cli.init.proposal import propose
from neuronode_router.cli.references import environment_of
from neuronode_router.cli.serve.backends import find_backends
from neuronode_router.cli.serve.embedded import EmbeddedAddress
from neuronode_router.cli.serve.master_key import find_master_key
from neuronode_router.cli.serve.prepare import _uses_access_file
from neuronode_router.errors import NeuronodeError
from neuronode_router.settings import Settings

NOBODY = "http://127.0.0.1:9"
BASE: dict[str, Any] = {
    "model_list": [
        {
            "model_name": "small",
            "litellm_params": {"model": "openai/gpt-4o-mini", "api_key": "os.environ/K", "num_retries": 1},
            "model_info": {
                "mode": "chat",
                "id": "a",
                "neuronode": {"tier": "fast", "capabilities": ["chat"]},
            },
        },
        {
            "model_name": "local",
            "litellm_params": {"model": "ollama_chat/x", "api_base": NOBODY, "num_ctx": 8192},
            "model_info": {"output_cost_per_token": 1e-6, "disable_background_health_check": True},
        },
        {"model_name": "named", "litellm_params": {"model": "azure/y", "litellm_credential_name": "c"}},
    ],
    "credential_list": [{"credential_name": "c", "credential_values": {"api_key": "x"}}],
    "environment_variables": {"K": "v"},
    "general_settings": {
        "master_key": "os.environ/LITELLM_MASTER_KEY",
        "plugins": [{"name": "neuronode-profiles", "url": "http://127.0.0.1:4000/admin/ui/"}],
        "custom_auth": "x.y",
        "database_url": "postgresql://h/d",
    },
    "litellm_settings": {"default_key_generate_params": {"model_max_budget": {"chat": 1}}, "num_retries": 2},
    "router_settings": {
        "model_group_alias": {"mine": "small", "hidden": {"model": "local"}},
        "model_group_retry_policy": {"small": {"TimeoutErrorRetries": 1}},
    },
}
COMPOSE: dict[str, Any] = {
    "services": {
        "proxy": {
            "image": "litellm:1",
            "command": ["--num_workers", "4", "--config", "c.yaml"],
            "entrypoint": "litellm",
            "environment": {"NUM_WORKERS": "2", "LITELLM_WORKER_STARTUP_HOOKS": "a"},
            "env_file": [{"path": "x.env"}],
        },
        "other": {"build": "litellm", "environment": ["NUM_WORKERS=2"], "env_file": "x.env"},
    }
}
ODD = (
    None, True, 0, -1, 1.5, math.nan, 10**30, "", "a", "os.environ/NOPE", "os.environ/", "http://[::1", "sk-1234",
    "9" * 5000, "\ud800", b"x", datetime.date(2026, 1, 1), [], ["a"], [{}], [None], [[]], {}, {"a": {}}, {"a": [1]},
    {5: 6},
)  # fmt: skip


def paths(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    inner = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document if isinstance(document, list) else ())
    )
    for key, value in inner:
        yield (*at, key)
        yield from paths(value, (*at, key))


@st.composite
def odd(draw: st.DrawFn, base: dict[str, Any]) -> dict[str, Any]:
    """A document in which something odd stands at one place or two."""
    document = copy.deepcopy(base)
    for _ in range(draw(st.integers(1, 2))):
        *parents, last = draw(st.sampled_from(sorted(paths(document), key=repr)))
        place = document
        for key in parents:
            place = place[key]
        place[last] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return document


def serve(config: dict[str, Any], place: Path) -> None:
    """What `serve` makes of a configuration before it starts anything."""
    deployments = deployments_of(config)
    find_master_key({}, config, place / "master_key")
    backends = asyncio.run(find_backends(config, deployments, {}))
    backends.require_sendable(deployments)
    plan = make_plan(deployments, backends.missing)
    named = Settings.load({"NEURONODE_ACCESS_FILE": "access.yaml"}, config=place / "litellm_config.yaml")
    _uses_access_file(named, environment_of(config, {}), config)
    address = EmbeddedAddress(1, "key") if plan.embedded else None
    dump_config(effective_config(config, plan, embedded=address, custom_auth=True, port=1)).encode()


def examine(config: dict[str, Any], place: Path) -> None:
    """What `doctor` looks at."""
    found = Settings.load({}, config=place / "litellm_config.yaml")
    subject = Subject(config, found, {})
    for check in (*doctor.ON_PAPER, backends_answer):
        list(check(subject))


def initialise(config: dict[str, Any], place: Path) -> None:
    """What `init` proposes."""
    deployments = deployments_of(config)
    groups, _ = text_groups(deployments, {"x": {"mode": "chat"}})
    if groups:
        files = new_files(place, place / "profiles", propose(groups), {})
        _require_valid(files, place / "profiles", {str(each["model_name"]) for each in deployments})


@pytest.mark.parametrize("command", [serve, examine, initialise])
@given(config=odd(BASE))
@example(
    config={**BASE, "general_settings": {"plugins": [{"name": "neuronode-profiles", "url": "http://[::1"}]}}
)
@example(config={**BASE, "general_settings": {"master_key": "\ud800"}})
@example(config={"model_list": [{"model_name": ["a"]}]})
@settings(max_examples=settings().max_examples * 3)
def test_an_odd_configuration_is_refused_or_served(
    command: Callable[[dict[str, Any], Path], None],
    tmp_path_factory: pytest.TempPathFactory,
    config: dict[str, Any],
) -> None:
    """A list where a mapping belongs, a number for a name, nothing at all: an error of ours, or none."""
    place = tmp_path_factory.mktemp("odd")
    with contextlib.suppress(NeuronodeError):
        command(config, place)


@given(document=odd(COMPOSE))
@example(document={"services": {"a": {"image": "litellm", "command": ["--num_workers", "9" * 5000]}}})
@settings(max_examples=settings().max_examples * 3)
def test_an_odd_compose_file_is_looked_through(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    """Its services are those that can be told."""
    place = tmp_path_factory.mktemp("odd")
    (place / "x.env").write_bytes(b"A=1\n\xff=2\n")
    (place / "compose.yaml").write_text(yaml.safe_dump(document), "utf-8", "surrogatepass")

    launches = litellm_services(compose_files(place, {}), {"A": "1"})

    subject = Subject({}, Settings.load({}, config=place / "litellm_config.yaml"), {}, launches)
    for check in launching.CHECKS:
        list(check(subject))
