"""Judges a recorded run of requests and switches against the promises of a switch, by program and not by eye.

It must not know how the run was made: it sees only what clients and operators saw, on one monotonic clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as its client saw it. Times are seconds of the client's monotonic clock."""

    task: str
    sent_at: float
    answered_at: float
    """When the response headers were there."""
    status: int
    whole: bool
    """The body came to its proper end; for a stream, with its end mark."""
    profile: str
    revision: int
    group: str
    names: tuple[str, ...]
    """The deployment names in the answer, one per streamed chunk."""
    ended_at: float
    """When its body had ended, or nothing more could come."""


@dataclass(frozen=True, slots=True)
class Switched:
    """One switch as its operator saw it, on the same clock."""

    profile: str
    revision: int
    posted_at: float
    receipt_at: float
    """Infinite where nobody got one."""
    complete: bool
    workers: int = 0
    """How many its receipt names."""


@dataclass(slots=True)
class History:
    """What happened in one run, and what it started from."""

    first_revision: int
    first_profile: str
    groups: Mapping[str, Mapping[str, str]]
    """Profile -> task -> the model group that serves it, which is also the deployment's name."""
    requests: list[Seen] = field(default_factory=list)
    switches: list[Switched] = field(default_factory=list)

    def faults(self, audit: Sequence[tuple[int, str]]) -> list[str]:
        """Return each broken promise as a sentence; `audit` is the run's (revision, profile after) rows."""
        return [
            *_failures(self.requests),
            *self._mixtures(),
            *self._stale_answers(),
            *self._answers_from_the_future(),
            *_not_increasing(self.first_revision, self.switches),
            *self._audit_gaps(audit),
        ]

    def _profile_of(self) -> dict[int, str]:
        return {self.first_revision: self.first_profile, **{s.revision: s.profile for s in self.switches}}

    def _mixtures(self) -> Iterator[str]:
        profile_of = self._profile_of()
        for seen in self.requests:
            if seen.status != 200:
                continue
            expected = self.groups.get(profile_of.get(seen.revision, ""), {}).get(seen.task)
            parts = {seen.group, *seen.names}
            if seen.profile != profile_of.get(seen.revision) or parts != {expected} or not seen.names:
                yield f"revision {seen.revision} means {expected}, answer mixes {seen}"

    def _stale_answers(self) -> Iterator[str]:
        settled = sorted((s.receipt_at, s.revision) for s in self.switches if s.complete)
        times = [at for at, _ in settled]
        newest = _running_maximum(revision for _, revision in settled)
        for seen in self.requests:
            known = bisect_left(times, seen.sent_at)
            if seen.status == 200 and known and seen.revision < newest[known - 1]:
                yield f"sent after the receipt for {newest[known - 1]}, answered under an older one: {seen}"

    def _answers_from_the_future(self) -> Iterator[str]:
        posted = {s.revision: s.posted_at for s in self.switches}
        for seen in self.requests:
            if seen.answered_at < posted.get(seen.revision, seen.answered_at):
                yield f"answered under a revision that nobody had asked for yet: {seen}"

    def _audit_gaps(self, audit: Sequence[tuple[int, str]]) -> Iterator[str]:
        expected = Counter((s.revision, s.profile) for s in self.switches)
        found = Counter(audit)
        if missing := expected - found:
            yield f"committed without an audit row: {sorted(missing)}"
        if extra := found - expected:
            yield f"audit rows without a commit, or twice: {sorted(extra)}"


def _failures(requests: Iterable[Seen]) -> Iterator[str]:
    for seen in requests:
        if seen.status != 200:
            yield f"failed request: {seen}"
        elif not seen.whole:
            yield f"cut answer: {seen}"


def _not_increasing(first: int, switches: Iterable[Switched]) -> Iterator[str]:
    """Yield a sentence for each switch that was sent after the receipt of another and yet has no later revision."""
    told = [s for s in switches if s.receipt_at < inf]
    settled = sorted((s.receipt_at, s.revision) for s in told)
    times, newest = [at for at, _ in settled], _running_maximum(revision for _, revision in settled)
    for switch in told:
        known = bisect_left(times, switch.posted_at)
        before = newest[known - 1] if known else first
        if switch.revision <= before:
            yield f"revision {switch.revision} came after {before}"
    for revision, count in Counter(s.revision for s in told).items():
        if count > 1:
            yield f"{count} receipts tell of one revision: {revision}"


def _running_maximum(values: Iterable[int]) -> list[int]:
    found: list[int] = []
    for value in values:
        found.append(max(value, found[-1]) if found else value)
    return found
