"""docs/profiles.md explains every key, every code and every limit that it must."""

from __future__ import annotations

import re

from neuronode_router.domain.names import TASK_ALIASES, Tier
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.profiles.checks import RESERVED_PROFILE_NAMES, Draft, check_drafts
from neuronode_router.profiles.files import MAX_FILES
from neuronode_router.profiles.problems import Code
from neuronode_router.profiles.schema import CAPS, MAX_LADDER, MAX_TASKS, ProfileFile
from neuronode_router.safe_yaml import read_yaml
from tests.unit.profiles.shelf import REPOSITORY, TESTDATA

TEXT = (REPOSITORY / "docs" / "profiles.md").read_text("utf-8")


def first_cells(heading: str) -> list[str]:
    """Return the names in the first column of the table under a heading."""
    section = TEXT.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_every_key_is_explained() -> None:
    """The table of keys has exactly the keys of the schema."""
    assert first_cells("Keys") == list(ProfileFile.model_fields)
    assert all(f"`{tier}`" in TEXT for tier in Tier)


def test_every_code_has_its_mend() -> None:
    """The table of problems has exactly the closed vocabulary."""
    assert sorted(first_cells("Problems and their fixes")) == sorted(Code)


def test_the_example_is_valid() -> None:
    """The file shown has every key and all tasks, and passes against a host that has its groups."""
    example = TEXT.split("```yaml\n", 1)[1].split("```", 1)[0]
    reading = read_yaml(example.encode(), "balanced.yaml", caps=CAPS)
    draft = Draft("balanced", reading.document, reading.source, reading.problems)

    groups = frozenset(group for _, group in draft.groups())
    profiles, problems = check_drafts([draft], HostFacts(groups))

    assert problems == []
    assert tuple(profiles["balanced"].tasks) == TASK_ALIASES
    assert reading.document is not None
    assert list(reading.document) == list(ProfileFile.model_fields)


def test_the_shown_problem_is_a_real_one() -> None:
    """The message in the text is one that the loader really gives."""
    shown = re.findall(r"^premium\.yaml:\d+ .*$", TEXT, re.MULTILINE)

    assert shown
    assert all(line in (TESTDATA / "expected.txt").read_text("utf-8") for line in shown)


def test_limits_are_the_real_ones() -> None:
    """Numbers in the text are those of the code."""
    assert f"a file at most {CAPS.bytes // 1024} kB" in TEXT
    assert f"at most {MAX_FILES} profiles" in TEXT
    assert f"at most {MAX_TASKS} |" in TEXT
    assert f"list of 1 to {MAX_LADDER} groups" in TEXT
    assert f"deeper than {CAPS.depth} levels" in TEXT
    assert f"{CAPS.nodes:,} entries" in TEXT
    assert all(f"`{name}`" in TEXT for name in RESERVED_PROFILE_NAMES)
