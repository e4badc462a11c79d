"""Which LiteLLM releases we run on, judged by version alone."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from neuronode_router.errors import CompromisedLiteLLM, UnsupportedLiteLLM
from neuronode_router.litellm_plugin.releases import DEFAULT, TESTED, check_version, warning_about

PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


@pytest.mark.parametrize("version", [*TESTED, "1.106.12", "1.108.1", "1.110.0"])
def test_tested_lines_start_without_a_word(version: str) -> None:
    """The tested releases and their neighbours of the same line are accepted and not remarked on."""
    check_version(version)

    assert warning_about(version) is None


@pytest.mark.parametrize("version", ["1.109.3", "1.111.0", "2.0.0"])
def test_releases_nobody_tested_start_and_say_so(version: str) -> None:
    """What is newer, or between the tested lines, starts: the seams tell what works. The status says it is untested."""
    check_version(version)

    assert "was not tested" in str(warning_about(version))


@pytest.mark.parametrize("version", ["1.82.7", "1.82.8", "1.107.0", "1.107.3"])
def test_malicious_releases_are_refused_by_name(version: str) -> None:
    """A known malicious release is refused as such, with the advice to rotate credentials."""
    with pytest.raises(CompromisedLiteLLM, match=version) as refusal:
        check_version(version)

    assert "rotate" in refusal.value.fix


@pytest.mark.parametrize("version", ["1.106.1", "1.82.6", "1.61.20"])
def test_releases_that_are_too_old_are_refused(version: str) -> None:
    """What is older than the oldest tested release lacks what we build on."""
    with pytest.raises(UnsupportedLiteLLM, match="older than"):
        check_version(version)


def test_the_tested_releases_are_those_that_the_matrix_runs() -> None:
    """pyproject.toml names the environments; the code speaks of the same releases."""
    named = tomllib.loads(PYPROJECT.read_text())["tool"]["neuronode"]["litellm"]

    assert (named[0], sorted(named)) == (DEFAULT, sorted(TESTED))
