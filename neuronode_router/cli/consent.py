"""A change to what is in force: shown before it is made, made only with consent, and proven by its receipt.

It must not know which change it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from neuronode_router.cli.commands.usage import dollars, milliseconds
from neuronode_router.cli.http import Connection, HttpAnswer, stated
from neuronode_router.cli.options import WARM_SECONDS
from neuronode_router.cli.terminal import Part, answer, changes_table, clean, note, show, table, warning
from neuronode_router.errors import SettingsError

Receipt = Mapping[str, Any]

Warmed = tuple[dict[str, object], float]
"""What a change is told of local models, and how many seconds more the proxy may take for them."""


@dataclass(frozen=True, slots=True)
class How:
    """What the command line says about how a change is made."""

    yes: bool
    dry_run: bool
    as_json: bool
    wait: str
    reason: str

    @property
    def options(self) -> dict[str, object]:
        """What the admin API is told."""
        return {"reason": self.reason, "wait": self.wait}


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A write of the admin API."""

    method: str
    path: str
    body: Mapping[str, Any] | None
    if_match: str | None = None
    """The state it is based on; None: whatever it is when the change is first looked at."""
    beside: Mapping[str, object] = field(default_factory=dict)
    """Options of its own."""
    options_in_query: bool = False
    """Where the route takes its options: in the query where the body is the edit itself, else in the body."""
    patience: float = 0.0
    """Seconds that the proxy may take beyond what a request may."""

    def preview(self, connection: Connection, how: How) -> HttpAnswer:
        """Return the receipt it would get, under the ETag of the state it would change. Nothing is changed."""
        return self._send(connection, {**how.options, "dry_run": True}, self.if_match)

    def make(self, connection: Connection, how: How, *, if_match: str | None) -> Receipt:
        """Make it, if `if_match` still is the state, and return the receipt."""
        return self._send(connection, how.options, if_match).document

    def _send(
        self, connection: Connection, options: Mapping[str, object], if_match: str | None
    ) -> HttpAnswer:
        options = {**self.beside, **options}
        body, params = (
            (self.body, options) if self.options_in_query else ({**(self.body or {}), **options}, None)
        )
        return connection.send(
            self.method, self.path, body, if_match=if_match, params=params, patience=self.patience
        )


def warmed(given: dict[str, Any]) -> Warmed:
    """Take what `options.warm_options` gave; return what a body says of it, and how long the proxy may take for it.

    Nothing is said where nothing was given, which an older proxy understands too.
    """
    warm, seconds, pull = given.pop("warm"), given.pop("warm_timeout"), given.pop("pull")
    if warm == "wait" and seconds is None:
        seconds = WARM_SECONDS
    said = stated({"warm": warm, "warm_timeout_s": seconds, "pull": pull or None})
    return said, seconds or WARM_SECONDS


def carry_out(
    connection: Connection,
    change: PendingChange,
    how: How,
    *,
    outlook: Callable[[], Sequence[Part]] = tuple,
) -> int:
    """Show what would change, ask, make the change, print the receipt. Returns 1 where a worker lags behind, else 0.

    `outlook` says what else is known of the change, where it is shown and changes something.
    What was shown is what is made: if somebody commits in between, the proxy refuses (412). Raises `click.Abort` when
    the answer is no, and `SettingsError` where nobody can be asked.
    """
    if_match = change.if_match
    if how.dry_run or not how.yes:
        preview = change.preview(connection, how)
        if how.dry_run or not preview.document["changed"]:
            answer(preview.document, lambda: _planned(preview.document, outlook), as_json=how.as_json)
            return 0
        show(*_planned(preview.document, outlook), err=True)
        require_consent("Make this change?")
        if_match = preview.etag
    if {**(change.body or {}), **change.beside}.get("warm") == "wait":
        note("Loading models; `neuronode status` shows how far that is.")
    receipt = change.make(connection, how, if_match=if_match)
    answer(receipt, lambda: _made(receipt, changes=how.yes), as_json=how.as_json)
    _say_who_lags(receipt)
    return 1 if how.wait == "all" and not receipt["complete"] else 0


def require_consent(question: str) -> None:
    """Return when the answer is yes. Raises `click.Abort` otherwise, and `SettingsError` where nobody can be asked."""
    if not sys.stdin.isatty():
        raise SettingsError(
            "Nobody can be asked: standard input is no terminal.", fix="Repeat with --yes (-y)."
        )
    click.confirm(question, abort=True, err=True)


def _planned(receipt: Receipt, outlook: Callable[[], Sequence[Part]]) -> list[Part]:
    if not receipt["changed"]:
        return [
            f"{_profiles(receipt)}: nothing to change, revision {receipt['revision']} stays.",
            *_warnings(receipt),
        ]
    headline = f"{_profiles(receipt)}, a new revision after {receipt['revision']}"
    told = outlook()
    return [
        headline,
        *_changes(receipt),
        *([""] if told else []),
        *told,
        *model_lines(receipt),
        *_running(receipt),
        *_warnings(receipt),
    ]


def _made(receipt: Receipt, *, changes: bool) -> list[Part]:
    """Return a receipt; what changed only where it was not shown already, when the question was asked."""
    outcome = "in force" if receipt["changed"] else "unchanged"
    workers = (
        (w["host"], w["pid"], w["state"], milliseconds(w["after_ms"]), w["detail"])
        for w in receipt["workers"]
    )
    return [
        f"{_profiles(receipt)}, revision {receipt['revision']} {outcome}",
        *_conversations(receipt),
        *model_lines(receipt),
        *_running(receipt),
        *_warnings(receipt),
        *(_changes(receipt) if changes else ()),
        "",
        table(("host", ">pid", "worker", ">after", "detail"), workers),
    ]


def _say_who_lags(receipt: Receipt) -> None:
    late = sum(worker["state"] != "applied" for worker in receipt["workers"])
    if late:
        total = len(receipt["workers"])
        note(f"neuronode: {late} of {total} workers have not applied it yet; `neuronode status` shows them.")


def _profiles(receipt: Receipt) -> str:
    before, after = clean(receipt["previous_profile"]), clean(receipt["profile"])
    return after if before == after else f"{before} -> {after}"


def _conversations(receipt: Receipt) -> list[Part]:
    """Return what became of conversations; nothing where none is held, or an older proxy does not say."""
    if receipt.get("held"):
        return [f"{receipt['held']} conversations that have begun stay with their group for now."]
    return ["Conversations that have begun move too."] if receipt.get("conversations") == "move" else []


def _running(receipt: Receipt) -> Iterator[str]:
    """Yield what moving the running conversations costs; nothing where that is nothing, or nobody says."""
    caches = receipt.get("caches") or {}
    if caches.get("cached_tokens"):
        worth = "" if caches["usd"] is None else f", {dollars(caches['usd'])}"
        much = f"{caches['share']:.0%} ({caches['cached_tokens']:,} tokens{worth})"
        yield f"Running: caches answered {much} of what these tasks asked in the last 10 minutes."


def model_lines(receipt: Receipt) -> Iterator[str]:
    """Yield what becomes of local models, or would; nothing where there are none, or an older proxy does not say."""
    told = receipt.get("warm") or {}
    yield from (clean(f"Models: {sentence}") for sentence in told.get("said", ()))
    if told.get("waited_s"):
        yield f"Models: the switch waited {told['waited_s']:.1f} s for them."


def _changes(receipt: Receipt) -> list[Part]:
    return ["", changes_table(receipt["changes"], of="where")] if receipt["changes"] else []


def _warnings(receipt: Receipt) -> list[Part]:
    return [warning(f"Warning: {text}") for text in receipt["warnings"]]
