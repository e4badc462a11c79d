"""Whoever sends a wrong value is told what is expected: the type, the bounds, the words."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

import admin_api
from admin_api.http.problems import MAX_TOLD, InvalidRequestError, from_validation
from admin_api.http.schemas import MAX_UNKNOWN, Asked, Body
from neuronode_router.policy.file import policy_of
from neuronode_router.wrong_value import FIXES, OTHERWISE, WrongValue, fix_of

WRONG: tuple[object, ...] = (
    *(None, True, "", "x", "x" * 200_000, "\x00", "a b", -1, 0, 1.5, 10**400, 1e308, float("nan")),
    *([], ["x", "x"], ["x"] * 5000, [None], [["x"]], [1e9, 1], {}, {"x": 1}, {"x": {"y": []}}, "nan", "1.5"),
)


def described(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in model.__subclasses__():
        yield child
        yield from described(child)


def bodies() -> list[type[BaseModel]]:
    """Return every body and query that the admin API and the task API take."""
    for module in pkgutil.walk_packages(admin_api.__path__, "admin_api."):
        importlib.import_module(module.name)
    found = {*described(Body), *described(Asked)}
    return sorted(found, key=lambda each: each.__name__)


def errors(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    """Yield what validation says of every wrong value under every key, and of none and unknown keys."""
    keys = [field.alias or name for name, field in model.model_fields.items()]
    documents: list[object] = [{}, [], "x", {"unheard_of": 1}]
    documents += [{key: value} for key in keys for value in WRONG]
    documents += [{key: [{inner: value} for inner in keys] for key in keys} for value in WRONG]
    for document in documents:
        try:
            model.model_validate(document)
        except ValidationError as error:
            yield from error.errors()  # type: ignore[misc]


@pytest.mark.parametrize("model", bodies(), ids=lambda model: model.__name__)
def test_every_error_of_a_body_has_its_fix(model: type[BaseModel]) -> None:
    """By pydantic's kind of error, with the limits filled in; our own validators bring theirs."""
    for detail in errors(model):
        raised = (detail.get("ctx") or {}).get("error")
        assert detail["type"] in FIXES or isinstance(raised, WrongValue), detail["type"]
        assert fix_of(detail) != OTHERWISE
        assert "{" not in fix_of(detail).replace(str((detail.get("ctx") or {}).get("pattern", "")), "")


WINDOW = {"name": "n", "zone": "UTC", "then": {"profile": "p"}}
RULE = {"name": "r", "outage": {"group": "g"}, "then": {"task": "t", "group": "h"}}


def policies() -> Iterator[object]:
    """Yield documents with every wrong value at every key of a policy."""
    for value in WRONG:
        yield from ({key: value} for key in ("default", "schedule", "rules", "other"))
        keys = ("name", "zone", "from", "to", "days", "on", "except", "then")
        yield from ({"schedule": [{**WINDOW, key: value}]} for key in keys)
        keys = ("name", "budget", "outage", "latency", "then", "emergency", "dwell", "changes", "dry_run")
        yield from ({"rules": [{**RULE, key: value}]} for key in keys)
        keys = ("group", "provider", "api_base", "every_deployment", "enter", "return", "attempts", "within")
        yield from ({"rules": [{**RULE, "outage": {"group": "g", key: value}}]} for key in keys)


def test_every_problem_of_a_policy_says_what_to_write() -> None:
    """Of a file as of a body."""
    problems = [problem for document in policies() for problem in policy_of(document)[1]]  # type: ignore[arg-type]

    assert len(problems) > 300
    assert not [
        each for each in problems if each.fix in ("", OTHERWISE) or "{" in each.fix.split("matches")[0]
    ]
    assert not [each for each in problems if "Value error" in each.message]


@pytest.mark.parametrize(
    "model", [each for each in bodies() if issubclass(each, Body)], ids=lambda each: each.__name__
)
def test_a_body_full_of_faults_makes_few_errors(model: type[BaseModel]) -> None:
    """Neither in its lists nor in its keys: each error takes microseconds, and a body has room for a million."""
    many = 5000
    documents: list[object] = [{f"unheard_of_{n}": 1 for n in range(many)}]
    documents += [{name: [object()] * many} for name in model.model_fields]
    for document in documents:
        with pytest.raises(ValidationError) as refused:
            model.model_validate(document)
        assert refused.value.error_count() <= MAX_UNKNOWN


def test_of_many_faults_the_first_are_told_and_the_others_counted() -> None:
    """Whoever finds them: validation, or a route."""
    many = [{"type": "missing", "loc": ("body", n), "msg": "Field required"} for n in range(MAX_TOLD + 7)]
    found = from_validation(RequestValidationError(many))

    for refused in (found, InvalidRequestError(found.problems * 2)):
        assert len(refused.problems) == MAX_TOLD
    assert found.message.endswith("body.49: Field required.; and 7 more.")
