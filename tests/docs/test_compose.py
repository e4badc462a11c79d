"""docker-compose.yml: the tested release, loopback ports, real settings, no secrets, nothing lost at a stop."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

from neuronode_router.settings import PREFIX, Settings, variable

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_images_are_pinned_and_litellm_is_the_tested_release() -> None:
    """No `latest`; the release of the lock file."""
    build = SERVICES["litellm"]["build"]["dockerfile_inline"]
    (locked,) = re.findall(r"^litellm==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)

    images = [*re.findall(r"(?:FROM |--from=)(\S+)", build), SERVICES["redis"]["image"]]

    assert f"litellm/litellm:v{locked}" in images[0]
    assert all(re.search(r":v?\d+\.\d", image) for image in images)


def test_what_the_image_copies_exists_and_makes_the_package() -> None:
    """The package's folders, and what building it needs."""
    build = SERVICES["litellm"]["build"]["dockerfile_inline"]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--)(.*)$", build, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]["packages"]

    assert {*packages, "pyproject.toml", "requirements.lock"} <= set(copied)
    assert all((ROOT / source).exists() for source in copied)


def test_ports_are_bound_to_the_loopback_interface() -> None:
    """Nothing is open to the network unless the operator opens it."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_settings_are_real_and_secrets_come_from_outside() -> None:
    """A misspelt variable would be ignored silently; a key in the file would be public."""
    environment = SERVICES["litellm"]["environment"]
    known = {variable(name) for name in Settings.model_fields}

    assert {name for name in environment if name.startswith(PREFIX)} <= known
    assert environment["LITELLM_MASTER_KEY"].startswith("${LITELLM_MASTER_KEY:?")
    assert environment["LITELLM_WORKER_STARTUP_HOOKS"] == "neuronode_router.plugin:start"


def test_the_stop_is_longer_than_requests_may_take_to_end() -> None:
    """Docker's default of 10 s would cut streams off."""
    assert int(SERVICES["litellm"]["stop_grace_period"].removesuffix("s")) >= 30
