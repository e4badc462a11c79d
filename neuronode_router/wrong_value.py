"""What is wrong with a value that validation refused, and what to write instead.

It must not know documents, nor where they come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIXES: Mapping[str, str] = {
    "missing": "Add it.",
    "extra_forbidden": "Remove it or correct its spelling.",
    "json_invalid": "Write JSON, in UTF-8.",
    "string_type": "Write a text, in quotes where it looks like a number or a date.",
    "string_too_short": "Write {min_length} characters or more.",
    "string_too_long": "Write at most {max_length} characters.",
    "string_pattern_mismatch": "Write what matches {pattern}.",
    "int_type": "Write a whole number.",
    "int_parsing": "Write a whole number.",
    "int_parsing_size": "Write a smaller number.",
    "int_from_float": "Write a whole number.",
    "float_type": "Write a number.",
    "float_parsing": "Write a number.",
    "finite_number": "Write a finite number.",
    "bool_type": "Write true or false.",
    "bool_parsing": "Write true or false.",
    "greater_than": "Write more than {gt}.",
    "greater_than_equal": "Write {ge} or more.",
    "less_than": "Write less than {lt}.",
    "less_than_equal": "Write {le} or less.",
    "literal_error": "Write {expected}.",
    "enum": "Write {expected}.",
    "list_type": "Write a list.",
    "dict_type": "Write an object: keys with values.",
    "model_type": "Write an object: keys with values.",
    "model_attributes_type": "Write an object: keys with values.",
    "too_short": "Write {min_length} entries or more.",
    "too_long": "Write at most {max_length} entries.",
    "date_type": "Write a date, as 2026-12-24.",
    "datetime_type": "Write a date with a time, as 2026-12-24T18:00:00Z.",
    "date_from_datetime_parsing": "Write a date, as 2026-12-24.",
    "datetime_from_date_parsing": "Write a date with a time, as 2026-12-24T18:00:00Z.",
    "recursion_loop": "Write it without references to itself.",
}
"""What to do, by pydantic's name of the error; in braces what it says of the limits."""

OTHERWISE = "Compare it with the documentation of this key."


class WrongValue(ValueError):
    """A validator of ours refuses a value, or what one key of an object has beside the others."""

    def __init__(self, message: str, fix: str, *, key: str = "") -> None:
        super().__init__(message)
        self.fix = fix
        self.key = key
        """The key that is wrong, where the object is validated as a whole."""


def place_of(detail: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Return where the error is."""
    found = _raised(detail)
    key = (found.key,) if isinstance(found, WrongValue) and found.key else ()
    return (*detail["loc"], *key)


def said_of(detail: Mapping[str, Any]) -> str:
    """Return what is wrong, without a full stop: of a validator of ours its own words."""
    return str(_raised(detail) or detail["msg"]).rstrip(".")


def fix_of(detail: Mapping[str, Any]) -> str:
    """Return what to write instead: the type, the bounds or the words that are expected. Never raises."""
    found = _raised(detail)
    if isinstance(found, WrongValue):
        return found.fix
    return FIXES.get(detail["type"], OTHERWISE).format_map(detail.get("ctx") or {})


def _raised(detail: Mapping[str, Any]) -> Exception | None:
    raised = (detail.get("ctx") or {}).get("error")
    return raised if isinstance(raised, Exception) else None
