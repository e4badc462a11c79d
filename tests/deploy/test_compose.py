"""docker-compose.yml and its Dockerfile: what is started, nothing open, nothing secret, nothing lost at a stop.

There is no container engine here: the file is read by an implementation of the Compose specification, after the
variables are filled in, and the image is not built.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

from neuronode_router.settings import PREFIX, Settings, variable

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")
DOCUMENT = yaml.safe_load(TEXT)
SERVICES: Mapping[str, Any] = DOCUMENT["services"]
CONFIG = yaml.safe_load((ROOT / "litellm_config.yaml").read_text())
OLLAMAS = {"ollama": "llama3.1:8b qwen2.5:7b", "ollama-gpu": "llama3.1:8b llama3.1:70b"}


def filled(given: Mapping[str, str]) -> str:
    """Return the file as Compose reads it: variables replaced, and a required one that is empty refused."""

    def value(found: re.Match[str]) -> str:
        name, kind, other = found.groups()
        if name is None:
            return "$"
        if kind == "?" and not given.get(name):
            raise ValueError(f"{name}: {other}")
        return given.get(name) or (other if kind == "-" else "")

    return VARIABLE.sub(value, TEXT)


def test_the_file_follows_the_compose_specification() -> None:
    """Every key is one of the specification, and every volume, network and secret that is used is declared."""
    merged = yaml.safe_dump(yaml.safe_load(filled({"LITELLM_MASTER_KEY": "sk-x"})))

    compose = compose_spec.PyCompose.from_yaml(merged)
    compose.validate()

    assert set(compose.service_names()) == set(SERVICES)


def test_it_does_not_start_without_a_master_key() -> None:
    """There is no default password."""
    with pytest.raises(ValueError, match="LITELLM_MASTER_KEY"):
        filled({})


def test_images_are_pinned_and_litellm_is_the_tested_release() -> None:
    """No `latest`; the release of the lock file, in both files; each may be named by digest."""
    (locked,) = re.findall(r"^litellm==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)", DOCKERFILE, re.MULTILINE))
    used = dict(re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", TEXT))

    assert defaults["LITELLM_IMAGE"] == f"litellm/litellm:v{locked}"
    assert defaults.items() <= used.items()
    assert all(re.search(r":v?\d+\.\d", image) for image in used.values())
    assert set(used) == set(re.findall(r"^#(\w+_IMAGE)=$", EXAMPLE, re.MULTILINE))
    assert all("image" in service or "build" in service for service in SERVICES.values())


def test_what_the_image_copies_exists_and_reaches_the_build() -> None:
    """The package's folders and what building it needs, past .dockerignore."""
    copied = [
        source
        for line in re.findall(r"^COPY (?!--)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]["packages"]
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert {*packages, "pyproject.toml", "requirements.lock"} <= set(copied)
    assert set(copied) == sent
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_compiles_its_code_and_runs_as_nobody() -> None:
    """Workers that cannot write bytecode would compile LiteLLM anew at every start."""
    assert "PYTHONDONTWRITEBYTECODE" not in DOCKERFILE
    assert DOCKERFILE.count("--compile-bytecode") == DOCKERFILE.count("uv pip install")
    assert "--require-hashes" in DOCKERFILE
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1] == "65534:65534"


def test_the_image_has_what_trains_when_it_is_asked_for() -> None:
    """By the lock, in the layer that takes the rest; Compose hands the wish on."""
    args = SERVICES["litellm"]["build"]["args"]

    assert "${WITH_TRAINING:+-r requirements/train.lock}" in DOCKERFILE
    assert DOCKERFILE.index("FROM ${LITELLM_IMAGE}") < DOCKERFILE.index("ARG WITH_TRAINING=\n")
    assert args["WITH_TRAINING"] == "${WITH_TRAINING:-}"


def test_the_image_keeps_its_own_database_client_and_migrations() -> None:
    """Its client is generated for its LiteLLM; replaced by the plain package, the database mode would not start."""
    kept = set(re.findall(r"printf '(\S+)'", DOCKERFILE)[0].split(r"\n"))
    locked = set(re.findall(r"^([\w-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))

    assert "--excludes /tmp/kept -r requirements.lock" in DOCKERFILE
    assert kept - {""} == {"prisma", "litellm-proxy-extras"}
    assert kept - {""} <= locked


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_change_nothing_but_its_volumes(name: str) -> None:
    """Read-only, without capabilities, without a way to get them back; back after a crash."""
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == ("on-failure" if name.endswith("-pull") else "unless-stopped")
    assert not service.get("privileged")


def test_ports_are_bound_to_the_loopback_interface() -> None:
    """Nothing is open to the network unless the operator opens it."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_settings_are_real_and_secrets_come_from_outside() -> None:
    """A misspelt variable would be ignored silently; a key in the file would be public."""
    environment = SERVICES["litellm"]["environment"]
    stated = {*environment, *re.findall(r"^\s+(NEURONODE_\w+)=", DOCKERFILE, re.MULTILINE)}
    known = {variable(name) for name in Settings.model_fields}
    passwords = {
        name: value
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if "PASSWORD" in name
    }

    assert {name for name in stated if name.startswith(PREFIX)} <= known
    assert set(re.findall(r"^#(NEURONODE_\w+)=", EXAMPLE, re.MULTILINE)) <= known
    assert environment["LITELLM_MASTER_KEY"].startswith("${LITELLM_MASTER_KEY:?")
    assert passwords
    assert all(value.startswith("/run/secrets/") for value in passwords.values())
    assert all(secret["file"].startswith(".secrets/") for secret in DOCUMENT["secrets"].values())
    assert {".env", ".secrets/"} <= set((ROOT / ".gitignore").read_text().splitlines())


def test_whatever_the_proxy_writes_lies_in_a_writable_mount() -> None:
    """The file system itself is read-only: an edit, a policy or the state could not be kept."""
    environ = dict(re.findall(r"^(?:ENV| ) +(\w+)=(\S+)", DOCKERFILE, re.MULTILINE))
    litellm = SERVICES["litellm"]
    mounts = [volume.split(":") for volume in litellm["volumes"]]
    writable = {Path(target) for _, target, *mode in mounts if mode != ["ro"]}

    settings = Settings.load({**environ, **litellm["environment"]})

    for path in (settings.profiles, settings.state_dir, settings.policy.parent):
        assert path in writable


def test_the_example_of_the_environment_sets_nothing_but_the_profiles() -> None:
    """Whoever copies it must fill it in, and what is left as it is is unset: the proxy gets these lines.

    Only the master key is set to nothing: Compose says then that it is missing.
    """
    lines = [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")]
    left_out = re.findall(r"^#([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE)

    assert lines == ["COMPOSE_PROFILES=cpu", "LITELLM_MASTER_KEY="]
    assert {"DATABASE_URL", "OPENAI_API_KEY", "NEURONODE_STATE_URL"} <= {name for name, _ in left_out}
    assert not any(value for _, value in left_out)


def test_the_address_of_the_database_is_written_where_it_is_filled_in() -> None:
    """Host, user and name are those of the service; nobody could guess them from a password."""
    environment = SERVICES["postgres"]["environment"]
    address = (
        f"postgresql://{environment['POSTGRES_USER']}:PASSWORD@postgres:5432/{environment['POSTGRES_DB']}"
    )

    assert address in EXAMPLE
    assert address in (ROOT / "docs/operations.md").read_text()


def started(place: Path, *arguments: str, **environ: str) -> list[str]:
    """What the program `litellm` is started with by the image's own: its arguments, then its environment."""
    litellm = place / "litellm"
    litellm.write_text('#!/bin/sh\nprintf "%s\\0" "$@" "--"\nexec env -0\n')
    litellm.chmod(0o755)
    (entry,) = re.findall(r'^ENTRYPOINT \["sh", "/opt/neuronode-router/(.+)"\]$', DOCKERFILE, re.MULTILINE)
    done = subprocess.run(
        ["/bin/sh", str(ROOT / entry), *arguments],
        env={"PATH": f"{place}:/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split("\0")


def test_the_image_starts_litellm_without_what_is_set_to_nothing(tmp_path: Path) -> None:
    """With an empty DATABASE_URL LiteLLM would not start, and be started again for ever."""
    metrics = tmp_path / "metrics of it"
    certificate = "-----BEGIN\nKEPT=\nOTHER=\nMIIB+/=\n-----END"

    given = started(
        tmp_path,
        "--port=4000",
        "two words",
        DATABASE_URL="",
        DIRECT_URL="",
        KEPT="x",
        CERTIFICATE=certificate,
        PROMETHEUS_MULTIPROC_DIR=str(metrics),
    )

    assert given[:3] == ["--port=4000", "two words", "--"]
    assert {"KEPT=x", f"CERTIFICATE={certificate}"} <= set(given)
    assert not [entry for entry in given if entry.startswith(("DATABASE_URL", "DIRECT_URL"))]
    assert metrics.is_dir()


def test_the_image_starts_where_the_metrics_have_no_directory(tmp_path: Path) -> None:
    """Whoever sets it to nothing has each worker count for itself."""
    given = started(tmp_path, PROMETHEUS_MULTIPROC_DIR="")

    assert not [entry for entry in given if entry.startswith("PROMETHEUS_MULTIPROC_DIR")]


def test_profiles_are_the_documented_ones() -> None:
    """The proxy and Redis always start; the rest is chosen."""
    chosen = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}

    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {"litellm", "redis"}
    assert chosen == {"cpu", "gpu", "db", "monitoring"}
    assert all(re.search(rf"^#   .*\b{profile}\b", EXAMPLE, re.MULTILINE) for profile in chosen)


@pytest.mark.parametrize(("name", "tags"), OLLAMAS.items())
def test_both_models_are_pulled_once_and_watched(name: str, tags: str) -> None:
    """The pull and the health check name the same two; neither loads one; the configuration serves them."""
    whole = yaml.safe_load(filled({"LITELLM_MASTER_KEY": "x"}))["services"]
    ollama, pull = whole[name], whole[f"{name}-pull"]
    served = {entry["litellm_params"]["model"] for entry in CONFIG["model_list"]}

    for service in (ollama, pull):
        environment = service["environment"]
        assert f"{environment['SMALL']} {environment['LARGE']}" == tags
    assert pull["command"][0].count("ollama pull") == 2
    assert ollama["healthcheck"]["test"][1].count("ollama show") == 2
    assert {f"ollama_chat/{tag}" for tag in tags.split()} <= served
    assert pull["depends_on"] == {name: {"condition": "service_started"}}
    assert ("deploy" in ollama) == name.endswith("gpu")


def test_grafana_and_prometheus_get_the_files_of_this_repository() -> None:
    """Mounts name what exists."""
    mounts = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]

    assert all((ROOT / mount).exists() for mount in mounts)
    assert {"./deploy/prometheus", "./deploy/grafana/neuronode.json"} <= set(mounts)


def test_the_stop_is_longer_than_requests_may_take_to_end() -> None:
    """Docker's default of 10 s would cut streams off."""
    assert int(SERVICES["litellm"]["stop_grace_period"].removesuffix("s")) >= 30
