"""Which LiteLLM releases we run on, judged by version alone."""

from __future__ import annotations

import pytest
from neuronode_router.litellm_plugin.compat import TESTED, check_version

from neuronode_router.errors import CompromisedLiteLLM, UnsupportedLiteLLM


@pytest.mark.parametrize("version", [TESTED, "1.106.3", "1.108.0", "1.109.4"])
def test_supported_releases_pass(version: str) -> None:
    """Releases of the declared range are accepted."""
    check_version(version)


@pytest.mark.parametrize("version", ["1.82.7", "1.82.8", "1.107.0", "1.107.3"])
def test_malicious_releases_are_refused_by_name(version: str) -> None:
    """A known malicious release is refused as such, with the advice to rotate credentials."""
    with pytest.raises(CompromisedLiteLLM, match=version) as refusal:
        check_version(version)

    assert "rotate" in refusal.value.fix


@pytest.mark.parametrize("version", ["1.106.1", "1.82.6", "1.110.0", "2.0.0", "1.61.20"])
def test_releases_outside_the_range_are_refused_with_the_mend(version: str) -> None:
    """A release outside the range is refused with the version to install."""
    with pytest.raises(UnsupportedLiteLLM, match="outside the supported range") as refusal:
        check_version(version)

    assert TESTED in refusal.value.fix
