"""The master key: honoured when set, else made once, kept in a private file, and never shown."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from neuronode_router.cli.serve.master_key import find_master_key
from neuronode_router.errors import SettingsError


def general(**settings: object) -> dict[str, Any]:
    """A configuration with these `general_settings`."""
    return {"general_settings": settings}


def test_a_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    """Mode 0600, long, the same at the next start, and not in repr."""
    path = tmp_path / "master_key"

    first = find_master_key({}, {}, path)
    path.chmod(0o644)
    second = find_master_key(
        {"LITELLM_MASTER_KEY": ""}, general(master_key="os.environ/LITELLM_MASTER_KEY"), path
    )

    assert first == second
    assert len(first.secret) > 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.secret not in repr(first)
    assert first.secret not in first.shell


def test_two_services_have_two_keys(tmp_path: Path) -> None:
    """The key is random, not derived."""
    assert find_master_key({}, {}, tmp_path / "a").secret != find_master_key({}, {}, tmp_path / "b").secret


def test_a_key_that_is_set_is_honoured_and_not_stored(tmp_path: Path) -> None:
    """The environment's key is used and never copied to disk."""
    key = find_master_key({"LITELLM_MASTER_KEY": "sk-mine"}, {}, tmp_path / "master_key")

    assert (key.secret, key.path, key.shell) == ("sk-mine", None, "$LITELLM_MASTER_KEY")
    assert not (tmp_path / "master_key").exists()


def test_a_key_in_the_configuration_goes_first_as_in_litellm(tmp_path: Path) -> None:
    """LiteLLM takes a literal of `general_settings` before the environment."""
    key = find_master_key({"LITELLM_MASTER_KEY": "sk-env"}, general(master_key="sk-file"), tmp_path / "k")

    assert (key.secret, key.exported) == ("sk-file", False)


@pytest.mark.parametrize(
    ("environ", "config", "secret", "exported"),
    [
        ({"PROXY_KEY": "sk-proxy", "LITELLM_MASTER_KEY": "sk-other"}, {}, "sk-proxy", True),
        ({}, {"environment_variables": {"PROXY_KEY": "sk-file"}}, "sk-file", False),
        ({"PROXY_KEY": "sk-old"}, {"environment_variables": {"PROXY_KEY": "sk-file"}}, "sk-file", False),
        ({"X": "sk-x"}, {"environment_variables": {"PROXY_KEY": "os.environ/X"}}, "sk-x", False),
    ],
)
def test_a_reference_is_followed_as_litellm_follows_it(
    environ: Mapping[str, str], config: Mapping[str, Any], secret: str, exported: bool, tmp_path: Path
) -> None:
    """To the variable that is named, over what the configuration itself sets; no other key is made up beside it."""
    key = find_master_key(environ, {**general(master_key="os.environ/PROXY_KEY"), **config}, tmp_path / "k")

    assert (key.secret, key.shell, key.exported) == (secret, "$PROXY_KEY", exported)
    assert not (tmp_path / "k").exists()


@pytest.mark.parametrize(
    ("environ", "config"),
    [
        ({"LITELLM_MASTER_KEY": "sk-other"}, {"master_key": "os.environ/PROXY_KEY"}),
        ({"PROXY_KEY": " "}, {"master_key": "os.environ/PROXY_KEY"}),
        ({}, {"master_key": "os.environ/"}),
        ({}, {"master_key": "os.environ/LITELLM_MASTER_KEY", "key_management_system": "hashicorp_vault"}),
    ],
)
def test_a_reference_to_nothing_is_refused(
    environ: Mapping[str, str], config: Mapping[str, Any], tmp_path: Path
) -> None:
    """LiteLLM alone would be open then, or take a key that we cannot know."""
    with pytest.raises(SettingsError, match="which is not set"):
        find_master_key(environ, general(**config), tmp_path / "k")

    assert not (tmp_path / "k").exists()


def test_the_example_key_is_refused(tmp_path: Path) -> None:
    """Everybody knows it; the refusal does not repeat it."""
    with pytest.raises(SettingsError) as caught:
        find_master_key({"LITELLM_MASTER_KEY": "sk-1234"}, {}, tmp_path / "k")

    assert "sk-1234" not in f"{caught.value.message} {caught.value.fix}"


def test_an_empty_key_file_is_refused(tmp_path: Path) -> None:
    """An empty master key would open the proxy to everybody."""
    (tmp_path / "k").touch()

    with pytest.raises(SettingsError, match="empty"):
        find_master_key({}, {}, tmp_path / "k")


def test_a_key_that_nobody_can_send_is_refused(tmp_path: Path) -> None:
    """Of the environment, of the configuration, of the file: no client could sign in."""
    (tmp_path / "k").write_text("sk-\u200b")
    (tmp_path / "no text").write_bytes(b"sk-\xff")
    for environ, config, file in (
        ({"LITELLM_MASTER_KEY": "sk-line\n"}, {}, "k"),
        ({}, general(master_key="\u201csk\u201d"), "k"),
        ({}, {}, "k"),
        ({}, {}, "no text"),
    ):
        with pytest.raises(SettingsError, match="no header carries"):
            find_master_key(environ, config, tmp_path / file)


def test_the_shell_form_survives_odd_paths(tmp_path: Path) -> None:
    """A folder with spaces and quotes still gives a command that works as pasted."""
    folder = tmp_path / "it's a folder"
    folder.mkdir()

    shell = find_master_key({}, {}, folder / "k").shell

    assert shell == f"$(cat '{tmp_path}/it'\"'\"'s a folder/k')"
