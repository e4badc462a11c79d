"""Which services of a compose file count as LiteLLM, and in which environment they run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuronode_router.cli.compose import Launch, compose_files, litellm_services, project_variables

STARTED: list[Mapping[str, Any]] = [
    {"image": "ghcr.io/berriai/litellm:main-stable", "command": ["--config", "/app/config.yaml"]},
    {"image": "Registry.example/LiteLLM-database@sha256:00"},
    {"build": "./litellm"},
    {"build": {"context": ".", "args": {"LITELLM_IMAGE": "x"}}},
    {"image": "gateway:3", "command": "litellm --config /config.yaml"},
    {"image": "gateway:3", "command": ["/app/.venv/bin/litellm", "--port", "4000"]},
    {"image": "gateway:3", "entrypoint": "litellm", "command": ["--config", "/config.yaml"]},
    {"image": "gateway:3", "entrypoint": ["tini", "--"], "command": ["litellm"]},
    {"image": "gateway:3", "command": ["sh", "-ec", "sleep 1; exec litellm --config=/config.yaml"]},
    {"image": "gateway:3", "command": "python -m litellm.proxy.proxy_cli --config /config.yaml"},
    {"build": ".", "command": ["--config", "/config.yaml", "--port", "4000", "--num_workers", "8"]},
    {"build": ".", "command": "--config=/config.yaml --detailed_debug"},
]
OTHERS: list[Mapping[str, Any]] = [
    {"image": "prom/prometheus:v3.5.0", "command": ["--config.file=/etc/prometheus/prometheus.yml"]},
    {
        "image": "prom/prometheus:v3.5.0",
        "command": ["--config.file", "/etc/litellm", "--web.enable-lifecycle"],
    },
    {"image": "otel/opentelemetry-collector", "command": ["--config=/etc/otel.yaml"]},
    {"image": "otel/opentelemetry-collector", "command": "--config /etc/otel.yaml --port 4000"},
    {"image": "grafana/promtail", "command": "-config.file=/etc/promtail.yml"},
    {"image": "page:1", "command": ["--upstream", "litellm", "--config", "x"]},
    {"image": "page:1", "command": ["wait-for", "litellm:4000", "--", "serve"]},
    {"image": "page:1", "command": "curl http://gateway/litellm"},
    {"image": "postgres:17", "environment": {"POSTGRES_DB": "litellm"}, "depends_on": ["litellm"]},
]


def services(place: Path, body: Mapping[str, Any], **override: object) -> tuple[Launch, ...]:
    """What is found in a compose file with this one service, `x`, and in its override where there is one."""
    (place / "compose.yaml").write_text(yaml.safe_dump({"services": {"x": body}}))
    if override:
        (place / "compose.override.yaml").write_text(yaml.safe_dump({"services": {"x": override}}))
    return litellm_services(compose_files(place, {}))


@pytest.mark.parametrize("body", STARTED)
def test_a_service_that_runs_litellm_is_one(body: Mapping[str, Any], tmp_path: Path) -> None:
    """By its image, by what it is built from, by the program it starts, or by options that only LiteLLM has."""
    assert [service.name for service in services(tmp_path, body)] == ["x"]


@pytest.mark.parametrize("body", OTHERS)
def test_whoever_has_a_configuration_too_is_none(body: Mapping[str, Any], tmp_path: Path) -> None:
    """An override that builds the plugin on top of a Prometheus could not be built."""
    assert services(tmp_path, body) == ()


def test_an_override_may_say_what_is_started(tmp_path: Path) -> None:
    """Compose merges it before it starts anything."""
    assert services(tmp_path, {"image": "gateway:3"}, command="litellm --config x") != ()


LITELLM = {"image": "litellm/litellm:v1"}
ENV_FILES: list[object] = [
    "proxy.env",
    ["proxy.env"],
    ["./gone.env", "conf/../proxy.env"],
    [{"path": "gone.env", "required": False}, {"path": "proxy.env", "required": True}],
]


@pytest.mark.parametrize("env_file", ENV_FILES)
def test_env_files_are_part_of_the_environment(env_file: object, tmp_path: Path) -> None:
    """In each form that compose takes, beside the compose file."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "proxy.env").write_text("# ours\nexport A='x y'\nB=${HOME}\nC=1 # a note\nD\nE=\n")

    [service] = services(tmp_path, {**LITELLM, "env_file": env_file})

    assert service.environ == {"A": "x y", "B": "${HOME}", "C": "1", "E": ""}
    assert "x y" not in repr(service)


@pytest.mark.parametrize(
    "environment", [["A=1", "B=", "C"], {"A": 1, "B": "", "C": None}], ids=["list", "mapping"]
)
def test_a_name_without_a_value_is_passed_through(environment: object, tmp_path: Path) -> None:
    """Nobody can tell from the file what it is; one that is set to nothing is."""
    [service] = services(tmp_path, {**LITELLM, "environment": environment})

    assert service.environ == {"A": "1", "B": ""}


def test_what_compose_puts_first_goes_first(tmp_path: Path) -> None:
    """The environment before its files, the later of two files, the override before the compose file."""
    for name in "abc":
        lines = (
            f"{key}={name}" for key in ("FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH")["abc".index(name) :]
        )
        (tmp_path / name).write_text("\n".join(lines))

    [service] = services(
        tmp_path,
        {**LITELLM, "env_file": ["a", "b"], "environment": ["FOURTH=inline", "FIFTH=inline"]},
        env_file="c",
        environment={"FIFTH": "override"},
    )

    assert service.environ == {
        "FIRST": "a",
        "SECOND": "b",
        "THIRD": "c",
        "FOURTH": "inline",
        "FIFTH": "override",
    }


FILLED = {
    "$A": "1", "${A}": "1", "x${A}y$$A": "x1y$A", "${NONE}": "", "${EMPTY:-${A}}": "1", "${EMPTY-b}": "",
    "${NONE:-b}": "b", "${A:+there}": "there", "${NONE:+there}": "", "${NONE+x}": "", "${EMPTY+x}": "x",
    "${A:?why}": "1", "${SECRET}": "${A}", "${unclosed": "${unclosed", "$1": "$1",
}  # fmt: skip
"""How compose fills what refers to A=1, EMPTY= and SECRET=${A}."""


def test_references_are_filled_as_compose_does(tmp_path: Path) -> None:
    """Once: what a variable holds is not filled again. Without variables all stays as it is written."""
    (tmp_path / ".env").write_text("A=0\nEMPTY=\nSECRET='${A}'\n")
    names = {f"N{number}": text for number, text in enumerate(FILLED)}
    services(tmp_path, {**LITELLM, "environment": {**names, "A": None}, "command": "--port ${A}"})
    compose = compose_files(tmp_path, {})

    [service] = litellm_services(compose, project_variables(tmp_path, {"A": "1"}))
    [as_written] = litellm_services(compose)

    assert {text: service.environ[name] for name, text in names.items()} == FILLED
    assert (service.environ["A"], service.command) == ("1", ("--port", "1"))
    assert service.lacking == frozenset()
    assert {name: as_written.environ[name] for name in names} == names


def test_what_compose_insists_on_in_vain_is_told(tmp_path: Path) -> None:
    """In the environment of the service: it is not started."""
    services(tmp_path, {**LITELLM, "environment": ["KEY=${KEY:?set it}", "MORE=${MORE?}", "A=${A:?}"]})

    [service] = litellm_services(compose_files(tmp_path, {}), {"A": "1", "KEY": ""})

    assert service.lacking == {"KEY", "MORE"}


@pytest.mark.parametrize(
    "env_file", [None, 7, [], [[]], {}, [{}], [{"path": 3}], "", "folder", "binary", "\0"]
)
def test_a_strange_env_file_is_passed_over(env_file: object, tmp_path: Path) -> None:
    """What is wrong with it compose says itself."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"A=\xff\xfe")

    [service] = services(tmp_path, {**LITELLM, "env_file": env_file, "environment": {"A": "1"}})

    assert service.environ == {"A": "1"}
