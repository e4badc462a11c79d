"""Rendering touches our names and `current_profile` and nothing else, at once or not at all."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router import atomic_files
from neuronode_router.domain.names import NAME_PATTERN
from neuronode_router.domain.profiles import alias_map
from neuronode_router.errors import RenderFailed
from neuronode_router.profiles import render
from neuronode_router.profiles.files import ProfileFiles
from neuronode_router.profiles.render import Moment, render_revision, rendered
from tests.unit.profiles.shelf import HOST, REPOSITORY, Shelf

CONFIG = """\
# the operator's
model_list:
- model_name: small   # one
  litellm_params: {model: openai/x, api_key: os.environ/KEY}

router_settings:
    num_retries: 0
    model_group_alias:   # names
        "mine": "small"
        chat: 'small'        # ours
        hidden_one: {model: small, hidden: true}
        old_task: small
    fallbacks: [{small: [large]}]

profile_settings:
    current_profile: "balanced"   # rendered
"""
GROUPS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
NAMES = st.from_regex(NAME_PATTERN, fullmatch=True)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An operator's configuration in a directory of its own."""
    path = tmp_path / "etc" / "litellm_config.yaml"
    path.parent.mkdir()
    path.write_text(CONFIG)
    return path


def render_config(config: Path, *, aliases: Mapping[str, str], profile: str) -> bool:
    """Render as a host that has rendered nothing before."""
    with TemporaryDirectory() as state:
        return render_revision(
            config, Path(state) / "mark", aliases=aliases, profile=profile, moment=Moment(1)
        )


def test_only_our_names_change(config: Path, tmp_path: Path) -> None:
    """Every other byte stays: the operator's aliases, comments, quotes, order and indentation."""
    before, aliases = {"chat": "small", "old_task": "small"}, {"chat": "large", "task_chat": "small"}
    mark = tmp_path / "mark"
    render_revision(config, mark, aliases=before, profile="balanced", moment=Moment(1))

    changed = render_revision(config, mark, aliases=aliases, profile="no", moment=Moment(2))

    expected = CONFIG.replace("chat: 'small'        #", "chat: 'large'        #")
    expected = expected.replace("        old_task: small\n", "        task_chat: small\n")
    expected = expected.replace('"balanced"', '"no"')
    assert changed is True
    assert config.read_text() == expected
    assert [path.name for path in config.parent.iterdir()] == [config.name]


def test_equal_content_is_not_written(config: Path) -> None:
    """A second rendering of the same state touches nothing, not even the time stamp."""
    render_config(config, aliases={"chat": "large"}, profile="premium")
    before = config.stat()

    changed = render_config(config, aliases={"chat": "large"}, profile="premium")

    assert changed is False
    assert (config.stat().st_mtime_ns, config.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_listing_choice_of_the_operator_stays(config: Path) -> None:
    """A name of ours that the operator wrote as {model:, hidden:} keeps that form."""
    render_config(config, aliases={"hidden_one": "large"}, profile="balanced")

    assert config.read_text() == CONFIG.replace(
        "{model: small, hidden: true}", "{model: large, hidden: true}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "model_list: []\n",
        "router_settings:\n",
        "router_settings: {}\n",
        "router_settings: {model_group_alias: {}}",
    ],
)
def test_missing_sections_are_added(text: str) -> None:
    """A configuration that never had profiles gets both places."""
    after = yaml.safe_load(rendered(text, aliases={"chat": "large"}, managed={"chat"}, profile="premium"))

    assert after["router_settings"]["model_group_alias"] == {"chat": "large"}
    assert after["profile_settings"] == {"current_profile": "premium"}


@given(aliases=st.dictionaries(NAMES, GROUPS, max_size=5), profile=NAMES)
def test_pyyaml_reads_what_was_rendered(aliases: dict[str, str], profile: str) -> None:
    """Whatever names and groups there are, LiteLLM's reader sees exactly them, and the rest as before."""
    before = yaml.safe_load(CONFIG)

    after = yaml.safe_load(rendered(CONFIG, aliases=aliases, managed=set(aliases), profile=profile))

    own = {
        name: to for name, to in before["router_settings"]["model_group_alias"].items() if name not in aliases
    }
    assert after["router_settings"].pop("model_group_alias") == {**own, **aliases}
    assert after["profile_settings"] == {"current_profile": profile}
    assert before["router_settings"].pop("model_group_alias")
    assert (after["router_settings"], after["model_list"]) == (
        before["router_settings"],
        before["model_list"],
    )


@given(
    st.dictionaries(NAMES, GROUPS, min_size=1, max_size=5),
    st.dictionaries(NAMES, GROUPS, min_size=1, max_size=5),
)
def test_rendering_depends_on_the_last_state_only(first: dict[str, str], second: dict[str, str]) -> None:
    """Switching there, elsewhere and again gives what LiteLLM would have seen without the detour."""
    managed = {*first, *second}
    direct = rendered(CONFIG, aliases=second, managed=managed, profile="b")

    detour = rendered(
        rendered(CONFIG, aliases=first, managed=managed, profile="a"),
        aliases=second,
        managed=managed,
        profile="b",
    )

    assert yaml.safe_load(detour) == yaml.safe_load(direct)


@pytest.mark.parametrize(
    "text",
    [
        "router_settings: [\n",
        "router_settings: [1]\n",
        "- a\n",
        "",
        "base: &all\n  chat: small\nrouter_settings:\n  model_group_alias: *all\n",
        "x: !!python/name:os.system ''\n",
        "router_settings: {model_group_alias: {chat: small}}\x00",
        "day: 2024-13-45\n",
        "deep: " + "[" * 5000,
    ],
)
def test_what_is_not_understood_stays(config: Path, text: str) -> None:
    """A file that is broken, or whose anchors would carry the change elsewhere, is left as it is."""
    config.write_text(text)

    with pytest.raises(RenderFailed) as failed:
        render_config(config, aliases={"chat": "large"}, profile="premium")

    assert failed.value.code == "render_failed"
    assert failed.value.fix
    assert config.read_text() == text


@pytest.mark.parametrize("section", ["router_settings", "profile_settings"])
def test_what_an_included_file_says_instead_is_not_rendered_in_vain(config: Path, section: str) -> None:
    """LiteLLM takes a section of an included file as a whole: what we wrote into ours would be seen by nobody."""
    text = CONFIG + "include: [sub/one.yaml]\n"
    config.write_text(text)
    (config.parent / "sub").mkdir()
    (config.parent / "sub/one.yaml").write_text("include: [two.yaml]\n")
    (config.parent / "sub/two.yaml").write_text(f"{section}: {{num_retries: 1}}\n")

    with pytest.raises(RenderFailed, match=section):
        render_config(config, aliases={"chat": "large"}, profile="premium")
    assert config.read_text() == text

    (config.parent / "sub/two.yaml").write_text("model_list: [{model_name: more}]\n")
    assert render_config(config, aliases={"chat": "large"}, profile="premium")


def test_missing_and_unwritable_files(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file and a file system that refuses are one kind of error, with the reason in it."""
    with pytest.raises(RenderFailed, match="No such file"):
        render_config(config.with_name("none.yaml"), aliases={}, profile="premium")

    def refuse(*_: object, **__: object) -> bool:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(render, "replace_unchanged", refuse)
    with pytest.raises(RenderFailed, match="Read-only file system"):
        render_config(config, aliases={"chat": "large"}, profile="premium")


def test_mode_is_kept_and_links_are_followed(config: Path, tmp_path: Path) -> None:
    """The file behind a link is replaced in its own directory; the link and the mode stay."""
    config.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(config)

    render_config(link, aliases={"chat": "large"}, profile="premium")

    assert link.is_symlink()
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert yaml.safe_load(config.read_text())["profile_settings"] == {"current_profile": "premium"}


def test_a_save_in_between_is_not_lost(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When an editor saves while we render, its version is rendered, not overwritten."""
    replace = render.replace_unchanged

    def save_first(path: Path, *, before: bytes, after: bytes) -> bool:
        monkeypatch.setattr(render, "replace_unchanged", replace)
        path.write_text(CONFIG + "# saved meanwhile\n")
        return replace(path, before=before, after=after)

    monkeypatch.setattr(render, "replace_unchanged", save_first)

    assert render_config(config, aliases={"chat": "large"}, profile="premium") is True
    assert config.read_text().endswith("# saved meanwhile\n")
    assert "chat: 'large'" in config.read_text()


def _add_names(config: Path, worker: int) -> None:
    for number in range(5):
        name = f"w{worker}n{number}"
        render_config(config, aliases={name: "small"}, profile="premium")


def test_workers_do_not_lose_each_others_updates(config: Path) -> None:
    """Two processes and three threads render at once: every name of each is there afterwards."""
    context = multiprocessing.get_context("spawn")
    rivals = [
        *(context.Process(target=_add_names, args=(config, worker)) for worker in range(2)),
        *(threading.Thread(target=_add_names, args=(config, worker)) for worker in range(2, 5)),
    ]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join(60)

    names = yaml.safe_load(config.read_text())["router_settings"]["model_group_alias"]
    assert {f"w{worker}n{number}" for worker in range(5) for number in range(5)} <= names.keys()


def test_a_stuck_worker_does_not_block_for_ever(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another process holds the lock and does not let go, rendering gives up and says so."""
    monkeypatch.setattr(atomic_files, "LOCK_SECONDS", 0.05)
    handle = os.open(config.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(RenderFailed, match="another process"):
            render_config(config, aliases={}, profile="premium")
    finally:
        os.close(handle)

    assert render_config(config, aliases={}, profile="premium") is True


def test_alias_map_and_rendering_agree(config: Path, shelf: Shelf) -> None:
    """What `alias_map` says of a set is what the file says after rendering it."""
    profiles = shelf.files.load(HOST)
    aliases = alias_map(profiles, "balanced")

    render_config(config, aliases=aliases, profile="balanced")

    names = yaml.safe_load(config.read_text())["router_settings"]["model_group_alias"]
    assert {name: names[name] for name in aliases} == aliases
    assert names["task_chat"] == "small"


def test_shipped_configuration_is_as_rendered() -> None:
    """Rendering the profile it names into the committed configuration changes no byte."""
    path = REPOSITORY / "litellm_config.yaml"
    text = path.read_text()
    document = yaml.safe_load(text)
    groups = frozenset(deployment["model_name"] for deployment in document["model_list"])
    profiles = ProfileFiles(REPOSITORY / "profiles").load(type(HOST)(groups))
    aliases = alias_map(profiles, "premium")

    assert document["profile_settings"]["current_profile"] == "premium"
    assert document["router_settings"]["model_group_alias"] == aliases
    assert rendered(text, aliases=aliases, managed=aliases, profile="premium") == text
