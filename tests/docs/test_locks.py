"""The lock files agree with pyproject.toml, hash every release, name no address and no malicious release."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = (
    "requirements.lock",
    *(f"requirements/{path.name}" for path in sorted((ROOT / "requirements").iterdir())),
)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
DEFAULT, *OTHERS = PYPROJECT["tool"]["neuronode"]["litellm"]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)")
# Companions that LiteLLM pins to one release each: not installed, or as the registry has them (scripts/lock).
NOT_LOCKED = {"litellm-enterprise", "litellm-proxy"}
AS_FOUND = {"litellm-proxy-extras"}
NAMED = re.compile(r"litellm(?:\[proxy\])?==(\d[\w.]*\d)|litellm/litellm:v(\d[\w.]*\d)")
MALICIOUS = ("1.82.7", "1.82.8", "1.107.0", "1.107.1", "1.107.5")
KNOWN_STARTUP_FILES = ("_editable_impl_neuronode_router.pth", "distutils-precedence.pth", "_virtualenv.pth")


def entries(lock: str) -> list[str]:
    """The requirements of a lock file, each with its hashes on one line."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def pins(lock: str) -> dict[str, set[Version]]:
    """Versions by package; several where they differ by platform."""
    found: dict[str, set[Version]] = {}
    for entry in entries(lock):
        match = PIN.match(entry)
        assert match, entry
        found.setdefault(canonicalize_name(match[1]), set()).add(Version(match[2]))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_release_is_hashed_and_nothing_else_is_written(lock: str) -> None:
    """Names, versions, markers and hashes: no address, no option, no comment."""
    for entry in entries(lock):
        requirement, *hashes = entry.split(" --hash=")
        assert hashes, entry
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each.strip()) for each in hashes), entry
        assert PIN.match(requirement), entry
        assert "/" not in requirement, entry


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", PROJECT["dependencies"]),
        ("requirements.lock", PROJECT["optional-dependencies"]["proxy"]),
        ("requirements.lock", PROJECT["optional-dependencies"]["mcp"]),
        ("requirements/dev.lock", PROJECT["optional-dependencies"]["dev"]),
        ("requirements/train.lock", PROJECT["optional-dependencies"]["train"]),
    ],
)
def test_every_requirement_is_locked_in_its_range(lock: str, wanted: list[str]) -> None:
    """A change of pyproject.toml without `scripts/lock` is found here."""
    locked = pins(lock)

    for text in wanted:
        requirement = Requirement(text)
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{text} is not in {lock}: run scripts/lock"
        assert all(requirement.specifier.contains(version) for version in versions), text


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements/train.lock"])
def test_locks_agree_where_they_overlap(lock: str) -> None:
    """The tests run against what is served, and what is trained with."""
    used, dev = pins(lock), pins("requirements/dev.lock")

    assert {name for name in used.keys() & dev.keys() if used[name] != dev[name]} == set()


def test_what_trains_is_beside_the_runtime_and_within_what_tests() -> None:
    """`scripts/install` installs one of both beside the runtime: --dev brings what --train does."""
    runtime, dev, train = map(pins, ("requirements.lock", "requirements/dev.lock", "requirements/train.lock"))

    assert train.keys() <= dev.keys()
    assert {name for name in runtime.keys() & train.keys() if runtime[name] != train[name]} == set()


def litellm_lock(release: str) -> str:
    """Where a release other than the default is locked."""
    return f"requirements/litellm-{release.rpartition('.')[0]}.lock"


def test_every_tested_litellm_is_locked() -> None:
    """The default's lock is whole; another's holds what differs from it."""
    assert pins("requirements.lock")["litellm"] == {Version(DEFAULT)}
    assert {lock for lock in LOCKS if "litellm-" in lock} == {litellm_lock(release) for release in OTHERS}
    for release in OTHERS:
        assert pins(litellm_lock(release))["litellm"] == {Version(release)}


@pytest.mark.parametrize("release", [DEFAULT, *OTHERS])
def test_a_tested_litellm_is_one_that_may_be_installed(release: str) -> None:
    """The declared range holds each of them, and no malicious one."""
    (declared,) = (Requirement(d) for d in PROJECT["dependencies"] if Requirement(d).name == "litellm")

    assert declared.specifier.contains(release)
    assert not [version for version in MALICIOUS if declared.specifier.contains(version)]


def test_what_the_proxy_itself_asks_for_is_locked() -> None:
    """LiteLLM's own requirements and those of its extra, in its ranges, but for the companions that it pins."""
    assert importlib.metadata.version("litellm") == DEFAULT
    locked = pins("requirements.lock")
    asked = [Requirement(text) for text in importlib.metadata.requires("litellm") or ()]
    here = [r for r in asked if not r.marker or any(r.marker.evaluate({"extra": e}) for e in ("", "proxy"))]

    unmet = {
        str(requirement)
        for requirement in here
        if requirement.name not in NOT_LOCKED | AS_FOUND
        and not all(
            requirement.specifier.contains(v)
            for v in locked.get(canonicalize_name(requirement.name), [Version("0")])
        )
    }

    assert len(here) > len(NOT_LOCKED | AS_FOUND)
    assert unmet == set()
    assert locked.keys() >= AS_FOUND
    assert not NOT_LOCKED & locked.keys()


@pytest.mark.parametrize(
    "place",
    [
        "README.md",
        "docs",
        "deploy",
        "docker-compose.yml",
        "scripts",
        "neuronode_router",
    ],
)
def test_a_place_that_names_a_release_to_install_names_the_default(place: str) -> None:
    """pyproject.toml says which one; decisions and changes keep the release of their day."""
    root = ROOT / place
    files = [path for path in root.rglob("*") if path.is_file()] if root.is_dir() else [root]

    named = {
        (str(path.relative_to(ROOT)), version)
        for path in files
        if path.suffix != ".pyc" and "decisions" not in path.parts
        for found in NAMED.findall(path.read_text(errors="replace"))
        for version in found
        if version
    }

    assert {(path, version) for path, version in named if version != DEFAULT} == set()


def test_the_readme_says_which_releases_are_tested() -> None:
    """All of them, the default first."""
    (line,) = (
        line for line in (ROOT / "README.md").read_text().splitlines() if "Tested with LiteLLM" in line
    )

    assert re.findall(r"\d+\.\d+\.\d+", line) == [DEFAULT, *OTHERS]


def test_nothing_unexpected_runs_at_the_start_of_python() -> None:
    """Malicious releases hook in by a .pth file or sitecustomize; the editable install has one of its own."""
    folder = Path(sysconfig.get_path("purelib"))

    files = {
        path.name
        for pattern in ("*.pth", "sitecustomize*", "usercustomize*")
        for path in folder.glob(pattern)
    }

    assert files <= set(KNOWN_STARTUP_FILES), f"look at {sorted(files)} in {folder}"
    if "_editable_impl_neuronode_router.pth" in files:
        lines = (folder / "_editable_impl_neuronode_router.pth").read_text().split()
        assert {Path(line) for line in lines} == {ROOT}
    assert "sitecustomize" not in sys.modules or not str(
        getattr(sys.modules["sitecustomize"], "__file__", "")
    ).startswith(str(folder))


def test_scripts_and_ci_name_no_address() -> None:
    """Which registry is used is the machine's business; services of the compose file know each other by name."""
    for path in [
        *(ROOT / "scripts").iterdir(),
        ROOT / ".ci/run",
        ROOT / "pyproject.toml",
        ROOT / "docker-compose.yml",
    ]:
        text = path.read_text()
        assert not re.search(r"https?://(?!ollama:)|--index-url|--extra-index-url|--find-links ", text), (
            path.name
        )
