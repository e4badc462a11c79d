"""What was used and what would be used, on a proxy that counted some requests."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from admin_api.host import AdminHost
from neuronode_router.cli import http
from neuronode_router.cli.commands.plan import cache_loss
from neuronode_router.cli.commands.usage import groupings
from neuronode_router.domain.profiles import Profile
from neuronode_router.usage.finished import FinishedRequest
from neuronode_router.usage.forecast import Forecast, forecast
from neuronode_router.usage.periods import DAY, TimeSpan
from neuronode_router.usage.prices import Price, Prices
from neuronode_router.usage.report import Report, report
from neuronode_router.usage.store import Rows
from neuronode_router.usage.sums import Sums
from neuronode_router.usage.whereabouts import Whereabouts, whereabouts
from tests.admin_api.world import World
from tests.support.usage import NOW, finished
from tests.unit.cli.conftest import Remote, Terminal, remote_world
from tests.unit.cli.test_golden import check

REQUESTS = (
    *(finished(latency_ms=100.0 + n, first_token_ms=40.0) for n in range(30)),
    *(
        finished(task="summary", chosen_group="summary_premium", served_group="rescue", cost=0.25)
        for _ in range(8)
    ),
    finished(
        task="summary", chosen_group="summary_premium", served_group="summary_premium", cost=None, team=""
    ),
    finished(outcome="timeout", cost=None, latency_ms=None),
)


class Counted:
    """The books of a proxy that saw `REQUESTS` and nothing before."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []
        self.places: dict[str, int] = {}

    def clock(self) -> float:
        """The moment after the last request."""
        return NOW + 60

    async def report(
        self, since: float, until: float, *, by: tuple[str, ...], step: int | None, team: str | None
    ) -> Report:
        """Report on all of them."""
        self.asked.append((since, until))
        span = TimeSpan(int(NOW) - DAY, int(NOW) + 60)
        return report(rows(*REQUESTS), {}, span=span, earlier=span.before, by=by, step=step)

    async def whereabouts(
        self, since: float, until: float, *, is_within: Callable[[str], bool], team: str | None
    ) -> Whereabouts:
        """Tell of as many requests to each place as the test says."""
        each = [finished(location=place) for place, count in self.places.items() for _ in range(count)]
        span = TimeSpan(int(NOW) - DAY, int(NOW) + 60)
        return whereabouts(rows(*each), {}, span=span, is_within=is_within)

    async def forecast(self, candidate: Profile, since: float, until: float) -> Forecast:
        """Replay all of them; other groups have a listed price, except `summary_balanced`."""
        found = rows(*REQUESTS)
        prices = Prices(found, lambda group: None if group == "summary_balanced" else Price(1e-7, 2e-7))
        span = TimeSpan(int(NOW) - 2 * DAY, int(NOW))
        return forecast(found, candidate, span=span, prices=prices, notes={}, profiles={})

    async def explain(self, call_id: str, profiles: Mapping[str, Profile]) -> None:
        """Nothing is remembered."""


def rows(*requests: FinishedRequest) -> Rows:
    """Sum up requests by minute and key."""
    found: dict[tuple[int, object], Sums] = {}
    for one in requests:
        found.setdefault((int(one.at) // 60 * 60, one.key), Sums()).add(one)
    return found  # type: ignore[return-value]


@pytest.fixture
def books() -> Counted:
    """What the proxy counted."""
    return Counted()


@pytest.fixture
def counting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, neuronode: Terminal, books: Counted
) -> Iterator[Remote]:
    """A proxy at revision 1 that has books."""
    without = World.host

    def host(world: World) -> AdminHost:
        return replace(without(world), usage=books)

    monkeypatch.setattr(World, "host", host)
    directory = tmp_path / "proxy"
    directory.mkdir()
    with remote_world(directory) as running:
        running.use(monkeypatch)
        yield running


def test_usage_is_a_table_with_a_total(counting: Remote, neuronode: Terminal) -> None:
    """What has no price is unpriced; what has some says how many."""
    check("usage", neuronode("usage", "--by", "task,team"))


def test_a_series_has_a_line_for_each_step(counting: Remote, neuronode: Terminal) -> None:
    """With the moment at which it begins."""
    check("usage_steps", neuronode("usage", "--step", "hour"))


def test_a_plan_is_a_table_with_its_basis(counting: Remote, neuronode: Terminal) -> None:
    """Unknown says unknown, and what it assumes stands below."""
    check("profile_plan", neuronode("profile", "plan", "balanced"))


def test_consent_is_asked_with_what_nobody_knows_of_the_cost(counting: Remote, neuronode: Terminal) -> None:
    """A sum over the few requests that have a price must not pass for the cost of all."""
    asked = neuronode("profile", "switch", "balanced", "--dry-run")

    (line,) = [line for line in asked.out.splitlines() if line.startswith("Cost:")]
    assert re.search(r"\$[\d.,]+ \+ 1 unpriced -> \$[\d.,]+ \+ 9 unpriced,", line), line


def test_what_stays_in_its_group_is_not_said_to_move(counting: Remote, neuronode: Terminal) -> None:
    """The active profile decided all of them, and under it they stay where they are."""
    planned = neuronode("profile", "plan", "premium").out

    assert f"{len(REQUESTS)} requests, 0 of them would move" in planned
    assert "; only those that the active profile decided can move" in planned


def test_usage_for_programs(counting: Remote, neuronode: Terminal) -> None:
    """The document of the API, and the CSV of the API, unchanged."""
    document = json.loads(neuronode("usage", "--json").out)
    table = list(csv.DictReader(neuronode("usage", "--csv").out.splitlines()))

    assert document["total"]["requests"] == len(REQUESTS)
    assert [int(line["requests"]) for line in table] == [len(REQUESTS)]


def test_a_plan_for_programs(counting: Remote, neuronode: Terminal) -> None:
    """The document of the API; asking changes nothing."""
    document = json.loads(neuronode("profile", "plan", "balanced", "--json").out)

    assert (document["profile"], document["requests"]) == ("balanced", len(REQUESTS))
    assert counting.world.worker.revision == 1


@pytest.mark.parametrize(
    ("since", "seconds"), [("90m", 5400), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_a_period_may_be_named_by_its_length(
    since: str,
    seconds: int,
    counting: Remote,
    neuronode: Terminal,
    books: Counted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted back from now."""
    now = time.time()
    monkeypatch.setattr(Counted, "clock", lambda _: time.time())

    assert neuronode("usage", "--since", since).code == 0

    [(asked, _)] = books.asked
    assert asked == pytest.approx(now - seconds, abs=30)


@pytest.mark.parametrize("wrong", [-7200, 7200])
def test_a_wrong_clock_of_the_operators_changes_no_period(
    wrong: int, remote: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is named by its distance from now counts by the proxy's clock, and so does the last quarter of an hour."""
    monkeypatch.setattr(http, "time", SimpleNamespace(time=lambda: time.time() + wrong))

    report = json.loads(neuronode("usage", "--since", "1h", "--json").out)
    planned = json.loads(neuronode("profile", "plan", "balanced", "--since", "1h", "--json").out)
    status = neuronode("status").out
    rates = json.loads(neuronode("top", "--json").out)
    switched = neuronode("profile", "switch", "balanced", "--until", "30m", "--yes", "--json")

    assert report["total"]["requests"] == planned["requests"] == rates["total"]["requests"] == 1
    assert "1 request in 15 minutes" in status
    assert switched.code == 0, switched.err


@pytest.mark.parametrize("text", ["yesterday", "5", "-1h", "99999999d", "2026-13-01", ""])
def test_what_is_no_time_is_wrong_usage(text: str, counting: Remote, neuronode: Terminal) -> None:
    """With examples of what is."""
    outcome = neuronode("usage", "--since", text)

    assert outcome.code == 2
    assert "24h" in outcome.err


def test_a_wrong_grouping_is_wrong_usage(counting: Remote, neuronode: Terminal) -> None:
    """One line names it and those there are."""
    outcome = neuronode("usage", "--by", "profile,colour")

    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "'colour'" in outcome.err
    assert "deployment" in outcome.err


@pytest.mark.parametrize("command", ["usage", "usage residency"])
@pytest.mark.parametrize("period", ["--since 1h --until 2h", "--since 2099-01-01"])
def test_a_period_that_ends_before_it_begins_is_wrong_usage(
    command: str, period: str, counting: Remote, neuronode: Terminal
) -> None:
    """Said in one line, before anybody is asked."""
    outcome = neuronode(*command.split(), *period.split())

    assert outcome.code == 2
    assert "ends before it begins" in outcome.err


@pytest.mark.parametrize(
    "option", ["--since 7d", "--json", "--csv", "--url http://127.0.0.1:9", "--state-dir x"]
)
def test_an_option_before_a_subcommand_is_not_dropped_in_silence(
    option: str, counting: Remote, neuronode: Terminal
) -> None:
    """An audit of another period, or of another proxy, would pass for the one that was meant."""
    outcome = neuronode("usage", *option.split(), "residency")

    assert (outcome.code, outcome.out) == (2, "")
    assert f"neuronode usage residency {option.split()[0]}" in outcome.err


def test_for_a_subcommand_the_group_itself_asks_for_no_key(
    counting: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who types it would be asked twice."""
    key = counting.world.keys["admin"]
    monkeypatch.delenv("LITELLM_API_KEY")

    outcome = neuronode("usage", "residency", "--url", counting.url, typed=f"{key}\n{key}\n")

    assert (outcome.code, outcome.err.count("Key of the proxy")) == (0, 1)


@pytest.mark.parametrize(
    ("by", "head"), [("task", "fallbacks"), ("served_group", "stood in"), ("chosen_group,served_group", "fallbacks")]
)  # fmt: skip
def test_the_group_that_helped_out_is_not_told_to_have_failed(
    by: str, head: str, counting: Remote, neuronode: Terminal
) -> None:
    """By who answered alone, a fallback is an answer in the place of another group."""
    assert head in neuronode("usage", "--by", by).out


def test_groupings_are_completed_one_by_one() -> None:
    """Also the second of a list."""
    assert groupings(None, None, "ta") == ["task"]  # type: ignore[arg-type]  # it asks nobody
    assert groupings(None, None, "task,served") == ["task,served_group"]  # type: ignore[arg-type]


def test_a_proxy_that_does_not_count_says_so(remote: Remote, neuronode: Terminal) -> None:
    """503 becomes its message and fix."""
    remote.world.usage = None

    for command in (("usage",), ("profile", "plan", "balanced")):
        outcome = neuronode(*command)
        assert outcome.code == 1
        assert "not counted" in outcome.err


@pytest.mark.parametrize(
    ("caches", "told"),
    [
        ({"cached_tokens": 72, "share": 0.72, "usd_per_day": 1.5}, ["72% of", "worth $1.50 a day"]),
        ({"cached_tokens": 72, "share": 0.72, "usd_per_day": None}, ["72% of"]),
        ({"cached_tokens": 0, "share": 0.0, "usd_per_day": 0.0}, []),
        (None, []),
    ],
)
def test_what_a_move_loses_of_caches(caches: dict[str, float | None] | None, told: list[str]) -> None:
    """The share always, dollars where they are known; nothing of nothing, nor of a proxy that does not say."""
    text = " ".join(cache_loss({"caches": caches} if caches else {}))

    assert bool(text) is bool(told)
    assert all(word in text for word in told)
    assert ("worth" in text) is (len(told) > 1)


@pytest.mark.parametrize(
    ("within", "code", "verdict"),
    [
        ("eu", 1, "1 requests of any team left eu: 43 requests, 1 elsewhere."),
        ("eu,us", 0, "No request of any team left eu or us: 43 requests, 0 elsewhere."),
    ],
)
def test_an_audit_says_whether_anything_left(
    within: str, code: int, verdict: str, books: Counted, counting: Remote, neuronode: Terminal
) -> None:
    """In one sentence for people, and by its exit code for programs."""
    books.places = {"local": 40, "de+local": 2, "us": 1}

    said = neuronode("usage", "residency", "--within", within)

    assert (said.code, verdict in said.out) == (code, True), said.out
    assert "de+local" in said.out


@pytest.mark.parametrize(
    ("within", "code", "said"),
    [
        ("local, eu", 0, "left local or eu"),
        ("eu,", 1, "Write local, eu, de or a provider, with commas."),
        ("Munich", 1, "Write local, eu, de or a provider, with commas."),
    ],
)
def test_places_are_read_with_spaces_and_a_wrong_one_gets_no_pattern(
    within: str, code: int, said: str, books: Counted, counting: Remote, neuronode: Terminal
) -> None:
    """A regular expression helps nobody who types."""
    outcome = neuronode("usage", "residency", "--within", within)

    assert outcome.code == code, outcome.err
    assert said in outcome.out + outcome.err
    assert "a-z" not in outcome.err


def test_csv_and_json_at_once_is_wrong_usage(counting: Remote, neuronode: Terminal) -> None:
    """One of them would be dropped in silence."""
    outcome = neuronode("usage", "--csv", "--json")

    assert (outcome.code, outcome.out) == (2, "")
    assert "--csv" in outcome.err


def test_an_audit_of_a_team_without_requests_is_none(
    books: Counted, counting: Remote, neuronode: Terminal
) -> None:
    """A mistyped id must not read as "nothing left"."""
    books.places = {}

    said = neuronode("usage", "residency", "--team", "nobody")

    assert said.code == 1
    assert "Nothing is recorded of a team nobody" in said.out
    assert "No request" not in said.out
    assert neuronode("usage", "residency").code == 0


def test_an_audit_that_nobody_can_tell_is_none(books: Counted, counting: Remote, neuronode: Terminal) -> None:
    """What was sent to an unknown place has not stayed, as far as anybody knows."""
    books.places = {"unknown": 3}

    said = neuronode("usage", "residency", "--team", "a")

    assert said.code == 1
    assert "Nobody can tell whether a request of team a left local" in said.out
