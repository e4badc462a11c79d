"""The compose override of a set-up: builds the plugin on top of each service's image, or says what a Dockerfile needs.

It must not know profiles, nor write anything.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuronode_router.cli.compose import (
    FILES_VARIABLE,
    OVERRIDES,
    Launch,
    compose_files,
    find_override,
    litellm_services,
    project_variables,
)
from neuronode_router.cli.init.files import FIRST_PROFILE, NewFile, with_plugin
from neuronode_router.cli.serve.litellm_start import HOOKS_VARIABLE, PLUGIN_HOOK
from neuronode_router.errors import HostError
from neuronode_router.litellm_plugin.releases import check_version
from neuronode_router.version import VERSION

OWN_OVERRIDE = "neuronode.override.yml"
"""Where compose would not read it by itself, or must not before a Dockerfile has the plugin."""
IMAGE_FOLDER = "neuronode-image"
"""What a build is given: a wheel, where one lies there. Not the whole set-up, with its secrets and volumes."""
STATE = "/neuronode/state"
_RELEASE = re.compile(r":[a-z-]*v?(\d{1,4}\.\d{1,4}\.\d{1,4})", re.ASCII)

_INSTALL = """\
COPY --from=astral/uv:0.13.9 /uv /usr/local/bin/uv
COPY . /tmp/neuronode/
# The Python that runs litellm in this image, wherever it lies. LiteLLM stays the release that it is.
RUN cd /tmp/neuronode \\
    && python="$(head -n 1 "$(command -v litellm)" | cut -c 3-)" \\
    && uv pip list --python "$python" --format freeze | grep -E '^(litellm|prisma)' > /tmp/kept \\
    && uv pip install --python "$python" --break-system-packages --no-cache --compile-bytecode \\
        --constraints /tmp/kept "$NEURONODE_ROUTER" \\
    && mkdir -p /neuronode/state \\"""
_CHECK_USER = """\
RUN test "$(id -u):$(id -g)" = "$IMAGE_USER" || { \\
    echo "This image runs as $(id -u):$(id -g): write that as IMAGE_USER into the override." >&2; exit 1; }"""
_HEAD = """\
# Adds neuronode-router to the services that run LiteLLM. Written by `neuronode init`; start: docker compose up --build
# NEURONODE_ROUTER, in .env, says what is installed: the address of a wheel or of a repository, or the name of a wheel
# in neuronode-image/. No index has it by name.
"""
_ASK = f"set it in .env to the address of a wheel or repository, or to a wheel in {IMAGE_FOLDER}/"
_README = f"""\
What the images of neuronode-router are built from. Put a wheel here and name it in .env, as
NEURONODE_ROUTER=neuronode_router-{VERSION}-py3-none-any.whl. Out of a copy of the repository it is made by

    python -m pip wheel --no-deps --wheel-dir {IMAGE_FOLDER} PATH/OF/THE/REPOSITORY
"""


@dataclass(frozen=True, slots=True)
class Composed:
    """What becomes of a compose set-up that runs LiteLLM."""

    files: tuple[NewFile, ...]
    """None where each service has the plugin already."""
    named: tuple[str, ...]
    """What compose must be told to read, in this order; () where it reads all by itself."""
    told: tuple[str, ...]
    """What an operator should know before he starts it, a sentence each."""


def composed(directory: Path, profiles: Path, environ: Mapping[str, str]) -> Composed | None:
    """Return what the compose files of a directory need; None where no service of them runs LiteLLM."""
    variables = project_variables(directory, environ)
    read = compose_files(directory, variables)
    services = litellm_services(read)
    lacking = [each for each in services if PLUGIN_HOOK not in each.environ.get(HOOKS_VARIABLE, "")]
    if not lacking:
        return Composed((), (), ()) if services else None
    built = [each.name for each in lacking if not each.image]
    apart = bool(built or find_override(directory) or variables.get(FILES_VARIABLE))
    name = OVERRIDES[0] if read[0].name.startswith("compose") else OVERRIDES[2]
    text = _text(lacking, _mounted(directory, profiles))
    files = [NewFile(directory / (OWN_OVERRIDE if apart else name), text)]
    if len(built) < len(lacking):
        files.append(NewFile(directory / IMAGE_FOLDER / "README.txt", _README))
    named = (*(os.path.relpath(path, directory) for path in read), OWN_OVERRIDE) if apart else ()
    return Composed(tuple(files), tuple(dict.fromkeys(named)), tuple(_told(lacking)))


def _told(services: Sequence[Launch]) -> Iterator[str]:
    for service in services:
        if not service.image:
            yield f"You build the image of {service.name}: {OWN_OVERRIDE} says what its Dockerfile needs."
        elif found := _RELEASE.search(service.image):
            try:
                check_version(found[1])
            except HostError as error:
                yield f"The service {service.name} cannot run the plugin: {error}"


def _mounted(directory: Path, profiles: Path) -> str:
    """Return the profiles' folder as compose knows it, from its own directory; elsewhere only absolute ones."""
    return f"./{profiles.relative_to(directory)}" if profiles.is_relative_to(directory) else str(profiles)


def _text(services: Sequence[Launch], profiles: str) -> str:
    parts = (_service_text(service, profiles) for service in services)
    return f"{_HEAD}services:\n{''.join(parts)}volumes:\n  neuronode-state:\n"


def _service_text(service: Launch, profiles: str) -> str:
    hooks = with_plugin(service.environ.get(HOOKS_VARIABLE, ""))
    return f"""\
  {json.dumps(service.name)}:
{_build_text(service) if service.image else _by_hand()}    environment:
      {HOOKS_VARIABLE}: {json.dumps(hooks)}
      LITELLM_LOCAL_MODEL_COST_MAP: "True"
      NEURONODE_DEFAULT_PROFILE: {FIRST_PROFILE}
      NEURONODE_PROFILES: /neuronode/profiles
      NEURONODE_STATE_DIR: {STATE}
      NEURONODE_POLICY: {STATE}/policy.yaml
      # A single mounted file cannot be replaced from inside the container.
      NEURONODE_RENDER: "off"
    volumes:
      - {json.dumps(f"{profiles}:/neuronode/profiles")}
      - neuronode-state:{STATE}
"""


def _build_text(service: Launch) -> str:
    assert service.image
    # LiteLLM's own images run as root, one as nobody. A guess that is wrong stops the build, which says what is right.
    user = "65534:65534" if re.search(r"non[_-]root", service.image) else "0:0"
    lines = ["ARG NEURONODE_ROUTER", "ARG IMAGE_USER", *_CHECK_USER.splitlines(), "USER root"]
    lines += _INSTALL.splitlines()
    owner = service.user or "$$IMAGE_USER"
    dockerfile = [
        f"FROM {service.image}",
        *(line.replace("$", "$$") for line in lines),
        f"    && chown {owner} {STATE}",
        "USER $$IMAGE_USER",
    ]
    return f"""\
    image: neuronode-{service.name.lower()}:{VERSION}
    build:
      context: ./{IMAGE_FOLDER}
      args:
        NEURONODE_ROUTER: ${{NEURONODE_ROUTER:?{_ASK}}}
        # As whom the image runs, and goes on to run.
        IMAGE_USER: "{user}"
      dockerfile_inline: |
{_indented("        ", dockerfile)}"""


def _by_hand() -> str:
    wheel = "neuronode_router-*.whl"
    install = _INSTALL.replace("COPY .", f"COPY {wheel}").replace('"$NEURONODE_ROUTER"', wheel)
    lines = [
        "You build this image. Its Dockerfile needs this, as root and after LiteLLM, and a wheel beside it:",
        *install.splitlines(),
        f"    && chown THE_USER_IT_RUNS_AS {STATE}",
    ]
    return _indented("    # ", lines)


def _indented(by: str, lines: Sequence[str]) -> str:
    return "".join(f"{by}{line}".rstrip() + "\n" for line in lines)
