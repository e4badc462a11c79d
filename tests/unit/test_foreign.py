"""What is told of other libraries' exceptions: kind, code, a known phrase, and never a word that came from outside."""

from __future__ import annotations

import errno
import sqlite3

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from neuronode_router.foreign import PHRASES, described


class Unspeakable(Exception):
    """An exception whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "10.0.0.7"),
            "ConnectionRefusedError: connection refused",
        ),
        (OSError("10.0.0.7"), "OSError"),
        (psycopg.errors.UndefinedTable("relation x"), "UndefinedTable: code 42P01"),
        (
            OperationalError("SELECT secret", {}, sqlite3.OperationalError("database is locked")),
            "OperationalError: database is locked",
        ),
        (
            psycopg.OperationalError('FATAL: password authentication failed for user "eve"'),
            "OperationalError: password authentication failed",
        ),
        (Unspeakable(), "Unspeakable"),
        (ValueError("Port could not be cast to integer value as 'hunter2'"), "ValueError"),
    ],
)
def test_kind_code_and_a_known_phrase_are_told(error: Exception, said: str) -> None:
    """What an operator can act upon, and nothing that was quoted."""
    assert described(error) == said


@given(st.text(), st.sampled_from(["", *PHRASES]))
def test_no_word_of_a_text_is_told_but_ours(text: str, phrase: str) -> None:
    """Whatever surrounds a phrase stays out."""
    said = described(RuntimeError(f"{text}{phrase}{text}"))

    assert said.removeprefix("RuntimeError").removeprefix(": ") in ("", *PHRASES)
