"""The committed JSON Schema is the one the code makes, and accepts what the loader accepts."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from neuronode_router.domain.profiles import Profile
from neuronode_router.profiles.schema import SCHEMA_FILE, json_schema, to_file_document, to_profile
from neuronode_router.safe_yaml import Source
from neuronode_router.yaml11 import read
from tests.unit.profiles.shelf import REPOSITORY, good_document


def test_committed_schema_is_current() -> None:
    """`python -m neuronode_router.profiles.schema` would change nothing."""
    assert SCHEMA_FILE.read_text("utf-8") == json_schema()


@pytest.mark.parametrize("path", sorted((REPOSITORY / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_profiles_fit_the_schema(path: Any) -> None:
    """Editors that use the schema find nothing to complain about, and find the schema."""
    first_line = path.read_text("utf-8").splitlines()[0]

    jsonschema.Draft202012Validator(json.loads(json_schema())).validate(read(path.read_text("utf-8")))
    assert (path.parent / first_line.split("$schema=")[1]).resolve() == SCHEMA_FILE


@pytest.mark.parametrize(
    "change",
    [
        {"api_base": "x"},
        {"tasks": {"chat": "small"}},
        {"tasks": {**good_document()["tasks"], "No Name": "small"}},
        {"tiers": {"fast": ["small"], "medium": ["small"]}},
        {"tiers": {**good_document()["tiers"], "fast": []}},
        {"tiers": {**good_document()["tiers"], "fast": ["small", "small"]}},
        {"hidden": "yes"},
        {"cost_level": 12},
    ],
)
def test_schema_refuses_what_the_loader_refuses(change: dict[str, Any]) -> None:
    """Unknown keys, missing tasks, bad names and wrong types are red in the editor already."""
    schema = jsonschema.Draft202012Validator(json.loads(json_schema()))

    assert not schema.is_valid(good_document(**change))


def test_document_and_profile_are_inverse() -> None:
    """A profile made of a document gives that document back, and survives the store's form."""
    document = good_document(allowed_teams=["red", "blue"], hidden=True)

    profile, problems = to_profile("balanced", document, Source("balanced.yaml"))

    assert problems == []
    assert profile is not None
    assert to_file_document(profile) == document
    assert Profile.from_document(profile.to_document()) == profile
