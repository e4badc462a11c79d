"""A directory of profiles: what is found in it, and edits that are validated, atomic and undone byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronode_router.domain.profiles import HostFacts, ProfileEdit, ProfileSet
from neuronode_router.errors import ProfilesInvalid, ProfilesReadOnly, UnknownProfile, UnknownTask
from neuronode_router.profiles.files import MAX_FILES, ProfileFiles
from neuronode_router.profiles.problems import Code
from neuronode_router.profiles.schema import to_file_document
from tests.support.work import least_seconds, steps
from tests.unit.profiles.shelf import GOOD, HOST, Shelf, good_document

BAD_NAMES = [
    "../x",
    "..%2fx",
    "a/b",
    "x\x00",
    "con",
    "CON",
    "aux",
    "com1",
    "x" * 300,
    "",
    ".x",
    "Ä",
    "x\n",
    "status",
]


def nested(levels: int) -> dict[str, object]:
    """Return mappings in mappings."""
    innermost: dict[str, object] = {}
    for _ in range(levels):
        innermost = {"fast": innermost}
    return innermost


def test_load_returns_every_profile(shelf: Shelf) -> None:
    """The stem is the name; what is no profile file is left alone."""
    shelf.put("premium", GOOD)
    (shelf.directory / "README.md").write_text("hello")
    (shelf.directory / ".premium.yaml.swp").write_bytes(b"\x00")
    (shelf.directory / "old.yaml.bak").write_bytes(b"[")

    loaded = shelf.files.load(HOST)

    assert sorted(loaded.profiles) == ["balanced", "premium"]
    assert loaded.profiles["premium"].tasks["chat"] == "small"
    assert shelf.check() == ()


def test_equal_files_have_equal_digests(shelf: Shelf) -> None:
    """The digest sees what files say, not how they are written."""
    before = shelf.files.load(HOST).digest

    shelf.put(
        "balanced", b"# another comment\n" + GOOD.replace(b"cost_level: medium", b"cost_level: 'medium'")
    )

    assert shelf.files.load(HOST).digest == before


@pytest.mark.parametrize(
    ("name", "code"), [("premium.yml", "bad_name"), ("Premium.yaml", "bad_name"), ("status.yaml", "bad_name")]
)
def test_misnamed_files_are_reported(shelf: Shelf, name: str, code: str) -> None:
    """A file that looks like a profile and is not taken would surprise: it is a problem."""
    (shelf.directory / name).write_bytes(GOOD)

    assert shelf.codes() == [code]


def test_directories_without_profiles(tmp_path: Path) -> None:
    """A missing directory, an empty one and one without `balanced` each say what to do."""
    shelf = Shelf(tmp_path / "profiles")

    assert [p.code for p in ProfileFiles(tmp_path / "nowhere").check(HOST)] == [
        Code.MISSING_BALANCED,
        Code.UNREADABLE,
    ]
    shelf.path("balanced").rename(shelf.path("other"))
    assert shelf.codes() == [Code.MISSING_BALANCED]
    shelf.path("other").unlink()
    assert shelf.codes() == [Code.NO_PROFILE]


def test_names_in_other_encodings(shelf: Shelf) -> None:
    """A file name that is no UTF-8 is reported in printable characters."""
    with open(os.fsencode(shelf.directory) + b"/\xff.yaml", "wb") as file:  # noqa: PTH123 - a name of bytes
        file.write(GOOD)

    assert [(problem.code, problem.file) for problem in shelf.check()] == [(Code.BAD_NAME, "\\udcff.yaml")]


def test_too_many_files(shelf: Shelf) -> None:
    """The number of profiles is capped."""
    for number in range(MAX_FILES):
        shelf.put(f"p{number:03}", GOOD)

    assert shelf.codes() == [Code.TOO_MANY_FILES]


@pytest.mark.parametrize("what", ["directory", "pipe", "loop", "dangling"])
def test_what_is_no_file_is_unreadable(shelf: Shelf, what: str) -> None:
    """A directory, a pipe (which would block) and broken links are reported, not followed."""
    path = shelf.path("odd")
    {
        "directory": lambda: path.mkdir(),
        "pipe": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path),
        "dangling": lambda: path.symlink_to("missing"),
    }[what]()

    assert shelf.codes() == [Code.UNREADABLE]


def test_links_out_of_the_directory_are_refused(shelf: Shelf, tmp_path: Path) -> None:
    """A link to a file elsewhere is neither read nor, by an edit, written."""
    outside = tmp_path / "secret.yaml"
    outside.write_bytes(GOOD)
    shelf.path("premium").symlink_to(outside)

    assert shelf.codes() == [Code.LEADS_OUTSIDE]
    with pytest.raises(ProfilesInvalid) as refused:
        shelf.files.stage_profile("premium", good_document(), HOST)
    assert [problem.code for problem in refused.value.problems] == [Code.LEADS_OUTSIDE]
    assert outside.read_bytes() == GOOD


def test_config_map_layout_is_read(shelf: Shelf) -> None:
    """Kubernetes mounts links through `..data`; they stay inside, and the swap of `..data` is seen."""
    for version, group in (("v1", b"small"), ("v2", b"large")):
        (shelf.directory / f"..{version}").mkdir()
        mounted = GOOD.replace(b"classification: small", b"classification: " + group)
        (shelf.directory / f"..{version}" / "balanced.yaml").write_bytes(mounted)
    data = shelf.directory / "..data"
    data.symlink_to("..v1")
    shelf.path("balanced").unlink()
    shelf.path("balanced").symlink_to("..data/balanced.yaml")

    before = shelf.files.load(HOST).profiles["balanced"].tasks["classification"]
    (shelf.directory / "..next").symlink_to("..v2")
    (shelf.directory / "..next").replace(data)

    assert before == "small"
    assert shelf.files.load(HOST).profiles["balanced"].tasks["classification"] == "large"


def test_task_edit_changes_one_word(shelf: Shelf) -> None:
    """Comments and order stay, the file is written only by publish, and revert restores it."""
    staged = shelf.files.stage_edit("balanced", ProfileEdit({"chat": "large"}), HOST)

    assert shelf.content() == {"balanced.yaml": GOOD}
    assert staged.profiles.profiles["balanced"].tasks["chat"] == "large"
    staged.publish()
    assert shelf.content() == {"balanced.yaml": GOOD.replace(b"chat: small  #", b"chat: large  #")}
    assert shelf.files.load(HOST).digest == staged.profiles.digest
    staged.revert()
    assert shelf.content() == {"balanced.yaml": GOOD}


def test_profile_edit_keeps_what_it_can(shelf: Shelf) -> None:
    """Replacing a whole profile touches only what differs; keys with their default come and go."""
    tiers = {"fast": ["large", "small"], "medium": ["small"], "complex": ["large"]}

    shelf.files.stage_profile("balanced", good_document(tiers=tiers, allowed_teams=["no"]), HOST).publish()

    text = shelf.path("balanced").read_text()
    assert text.startswith(GOOD.decode().split("  fast:", maxsplit=1)[0])
    assert text.endswith(
        '  fast: [large, small]\n  medium: [small]\n  complex:\n    - large\nallowed_teams: ["no"]\n'
    )
    shelf.files.stage_profile("balanced", good_document(), HOST).publish()
    assert shelf.path("balanced").read_bytes() == GOOD


def test_new_profile_is_added_and_taken_back(shelf: Shelf) -> None:
    """Adding writes a file that others may read; reverting removes it."""
    staged = shelf.files.stage_profile("night", good_document(hidden=True), HOST)

    staged.publish()
    assert shelf.files.load(HOST).profiles["night"].hidden is True
    assert shelf.path("night").stat().st_mode & 0o777 == 0o600
    staged.revert()
    assert shelf.content() == {"balanced.yaml": GOOD}


@pytest.mark.parametrize(
    "extra",
    [
        {"api_base": "http://198.51.100.1"},
        {"api_key": "sk-x"},
        {"callbacks": ["os.system"]},
        {"litellm_params": {"model": "x"}},
        {"tasks": {**good_document()["tasks"], "chat": {"model": "large", "api_base": "x"}}},
        {"tasks": {**good_document()["tasks"], "chat": "os.system"}},
        {"hidden": "yes"},
        {"description": None},
        {"description": "lone surrogate \ud800"},
        {"tiers": [["small"]]},
        {"tiers": nested(5000)},
        {"tasks": nested(5000)},
    ],
)
def test_nothing_else_enters_through_the_api(shelf: Shelf, extra: dict[str, object]) -> None:
    """Addresses, keys, dotted paths and wrong types are refused, and the file is unchanged."""
    with pytest.raises(ProfilesInvalid) as refused:
        shelf.files.stage_profile("balanced", good_document(**extra), HOST)

    assert all(problem.file == "balanced.yaml" and problem.fix for problem in refused.value.problems)
    assert shelf.content() == {"balanced.yaml": GOOD}


@pytest.mark.parametrize(
    "flood",
    [
        {f"k{n}": 1 for n in range(20_000)},
        {"tasks": {f"K{n}": 1 for n in range(15_000)}},
        {"tasks": {f"t{n}": f"grup{n}" for n in range(64)}},
        {"tiers": {"fast": ["smal"] * 30_000}},
        {"allowed_teams": [1] * 60_000},
    ],
    ids=["keys", "tasks", "groups", "ladder", "teams"],
)
def test_floods_through_the_api_are_refused_quickly(shelf: Shelf, flood: dict[str, object]) -> None:
    """A document within the API's size limit costs little work to refuse, also where groups are many."""
    host = HostFacts(HOST.groups | {f"group{n}" for n in range(300)})

    def refuse() -> None:
        with pytest.raises(ProfilesInvalid):
            shelf.files.stage_profile("balanced", good_document(**flood), host)

    assert steps(refuse) < 1_000_000, "more than a few steps an entry"
    assert least_seconds(refuse) < 1


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_are_refused(shelf: Shelf, tmp_path: Path, name: str) -> None:
    """No name leaves the directory, ends a string early or means a device."""
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(ProfilesInvalid) as refused:
        shelf.files.stage_profile(name, good_document(), HOST)

    assert [problem.code for problem in refused.value.problems] == [Code.BAD_NAME]
    assert str(refused.value).isprintable()
    assert sorted(tmp_path.rglob("*")) == before


@given(st.text(max_size=80))
def test_no_name_escapes(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Whatever the name, an edit lands in the directory under exactly that name, or is refused."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    try:
        staged = shelf.files.stage_profile(name, good_document(), HOST)
    except ProfilesInvalid:
        return

    assert [change.path for change in staged.changes if name != "balanced"] in ([], [shelf.path(name)])


def test_unknown_profile_and_task(shelf: Shelf) -> None:
    """An edit of what does not exist names what does."""
    with pytest.raises(UnknownProfile, match="night"):
        shelf.files.stage_edit("night", ProfileEdit({"chat": "large"}), HOST)
    with pytest.raises(UnknownTask, match="cooking"):
        shelf.files.stage_edit("balanced", ProfileEdit({"cooking": "large"}), HOST)
    with pytest.raises(ProfilesInvalid, match="lagre"):
        shelf.files.stage_edit("balanced", ProfileEdit({"chat": "lagre"}), HOST)


def test_an_edit_may_mend_the_broken_file(shelf: Shelf) -> None:
    """A whole profile may replace a file that is broken; any other broken file stands in the way."""
    shelf.put("premium", b"tasks: [")

    staged = shelf.files.stage_profile("premium", good_document(), HOST)
    with pytest.raises(ProfilesInvalid):
        shelf.files.stage_profile("balanced", good_document(), HOST)

    staged.publish()
    assert shelf.check() == ()
    staged.revert()
    assert shelf.path("premium").read_bytes() == b"tasks: ["


def test_stage_set_makes_the_files_say_the_set(shelf: Shelf) -> None:
    """A rollback restores removed profiles, removes later ones, and leaves equal files byte for byte."""
    shelf.put("night", GOOD)
    earlier = shelf.files.load(HOST)
    shelf.path("night").unlink()
    shelf.put("later", GOOD.replace(b"chat: small", b"chat: large"))
    content = shelf.content()

    staged = shelf.files.stage_set(earlier, HOST)
    staged.publish()

    assert sorted(path.name for path in shelf.directory.glob("*.yaml")) == ["balanced.yaml", "night.yaml"]
    assert shelf.content()["balanced.yaml"] == GOOD
    assert shelf.files.load(HOST).digest == earlier.digest
    staged.revert()
    assert shelf.content() == content


@pytest.mark.parametrize("unfinished", [b"[", b"description: to be written", b"cost_level: no\n" + GOOD])
def test_stage_set_spares_unfinished_work(shelf: Shelf, unfinished: bytes) -> None:
    """A rollback does not remove a file that nobody could have committed; it is refused instead."""
    earlier = shelf.files.load(HOST)
    shelf.put("draft", unfinished)

    with pytest.raises(ProfilesInvalid):
        shelf.files.stage_set(earlier, HOST)


def test_stage_set_checks_the_host(shelf: Shelf) -> None:
    """A set whose groups are gone from the host is refused."""
    with pytest.raises(ProfilesInvalid, match="large"):
        shelf.files.stage_set(shelf.files.load(HOST), HostFacts(frozenset({"small"})))


def test_revert_leaves_later_work_alone(shelf: Shelf) -> None:
    """What somebody wrote after us is theirs."""
    staged = shelf.files.stage_edit("balanced", ProfileEdit({"chat": "large"}), HOST)
    staged.publish()
    theirs = shelf.put("balanced", GOOD + b"# theirs\n")

    staged.revert()

    assert theirs.read_bytes() == GOOD + b"# theirs\n"


def test_failed_publish_changes_nothing(shelf: Shelf) -> None:
    """When one file cannot be replaced, those before it are put back and no temporary file stays."""
    shelf.put("premium", GOOD)
    profiles = {
        name: profile.from_document({**profile.to_document(), "cost_level": "low"})
        for name, profile in shelf.files.load(HOST).profiles.items()
    }
    staged = shelf.files.stage_set(ProfileSet(profiles), HOST)
    shelf.path("premium").unlink()
    shelf.path("premium").mkdir()

    with pytest.raises(ProfilesReadOnly):
        staged.publish()

    assert shelf.content() == {"balanced.yaml": GOOD}


def test_read_only_directory_is_said_so(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that cannot be written refuses when the edit is staged."""
    monkeypatch.setattr(
        os, "access", lambda path, mode: False
    )  # tests may run as root, who may write anywhere

    with pytest.raises(ProfilesReadOnly):
        shelf.files.stage_edit("balanced", ProfileEdit({"chat": "large"}), HOST)


def test_publish_keeps_the_mode(shelf: Shelf) -> None:
    """A file that only its owner may read stays so."""
    shelf.path("balanced").chmod(0o600)

    shelf.files.stage_edit("balanced", ProfileEdit({"chat": "large"}), HOST).publish()

    assert shelf.path("balanced").stat().st_mode & 0o777 == 0o600


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(good_document()["tasks"])), st.sampled_from(["small", "large"])),
        max_size=6,
    )
)
@settings(max_examples=settings().max_examples // 2)
def test_edits_undone_in_reverse_are_no_edits(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, str]]
) -> None:
    """Publish and revert are inverse, however many edits are stacked."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    done = []
    for task, group in edits:
        staged = shelf.files.stage_edit("balanced", ProfileEdit({task: group}), HOST)
        staged.publish()
        done.append(staged)

    for staged in reversed(done):
        assert to_file_document(shelf.files.load(HOST).profiles["balanced"]) == to_file_document(
            staged.profiles.profiles["balanced"]
        )
        staged.revert()

    assert shelf.content() == {"balanced.yaml": GOOD}
