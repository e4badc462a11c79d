"""Hold an answer against the schema that a client demanded, within a bounded time: both come from strangers.

It must not know tasks, whose schemas their operators write (`json_answers`). Nothing is fetched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import UnknownType, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from neuronode_router.tasks.json_answers import can_be_written, is_checkable, objects

MAX_SCHEMA_CHARS = 65_536
"""Longer schemas are not checked: it would hold up the event loop."""

CHECK_SECONDS = 0.05
"""So much computing time one check may take. What is not done by then nobody can tell."""

Clock = Callable[[], float]


class _OutOfTime(Exception):
    """A check has taken as long as it may."""


_tick: ContextVar[Callable[[], None]] = ContextVar("neuronode_schema_tick")

_BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What comes of a schema that is none. Holding it against the schema of schemas would take longer than what follows."""


def fits(answer: str, schema: Mapping[str, Any], *, clock: Clock = time.thread_time) -> bool | None:
    """Return whether one of the objects in an answer is what a schema demands.

    None where that cannot be told, or not within `CHECK_SECONDS` of `clock`. Never raises.
    """
    end = clock() + CHECK_SECONDS

    def tick() -> None:
        if clock() > end:
            raise _OutOfTime

    token = _tick.set(tick)
    try:
        asked = {key: value for key, value in schema.items() if key != "$schema"}
        if len(json.dumps(asked, default=str)) > MAX_SCHEMA_CHARS or not is_checkable(asked):
            return None
        check = _Bounded(asked, registry=Registry())
        return any(can_be_written(found) and check.is_valid(found) for found in objects(answer))
    except (_OutOfTime, UnknownType, Unresolvable, *_BROKEN):
        return None
    finally:
        _tick.reset(token)


def _bounded(keyword: Any) -> Callable[..., Iterable[ValidationError] | None]:
    def check(
        validator: Any, value: object, instance: object, schema: object
    ) -> Iterable[ValidationError] | None:
        _tick.get()()
        found: Iterable[ValidationError] | None = keyword(validator, value, instance, schema)
        return found

    return check


_Bounded = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {name: _bounded(check) for name, check in Draft202012Validator.VALIDATORS.items()}
)
"""jsonschema's validator, which looks at the clock before each keyword of each place. A `$schema` within a schema would
bring back its own: `is_checkable` refuses it.
"""
