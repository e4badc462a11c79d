"""Forecasts: the active profile gives back its own record, another one what its groups cost, the unknown stays so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.decisions import Reason
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import Profile
from neuronode_router.domain.receipts import CacheLoss
from neuronode_router.usage.explain import explain
from neuronode_router.usage.finished import FinishedRequest, RequestOutcome
from neuronode_router.usage.forecast import ENOUGH, Forecast, forecast
from neuronode_router.usage.periods import DAY, HOUR, MINUTE, TimeSpan, recorded
from neuronode_router.usage.prices import Basis, Price, Prices
from neuronode_router.usage.store import Rows
from neuronode_router.usage.sums import NANO
from neuronode_router.usage.targets import FitFinding, GroupNote, Violation, asked_auto, target
from tests.support.usage import COMPLETION_PRICE, NOW, PROMPT_PRICE, TASKS, TIERS, finished, profile, requests
from tests.unit.usage.test_report import rows_of

SPAN = TimeSpan(int(NOW) - 2 * DAY, int(NOW) + MINUTE)
PREMIUM, CHEAP = profile("premium"), profile("cheap")
PROFILES = {each.name: each for each in (PREMIUM, CHEAP)}
NOTES: Mapping[str, GroupNote] = {
    **{f"{name}_{kind}": GroupNote() for name in (*TASKS, *TIERS) for kind in ("premium", "cheap")},
    **{f"spare_{tier}_cheap": GroupNote() for tier in TIERS},
}


def listed(group: str) -> Price | None:
    """Say that every group of `cheap` costs half of what `premium` cost."""
    return Price(PROMPT_PRICE / 2, COMPLETION_PRICE / 2) if group.endswith("cheap") else None


def replay(rows: Rows, candidate: Profile, notes: Mapping[str, GroupNote] = NOTES) -> Forecast:
    return forecast(rows, candidate, span=SPAN, prices=Prices(rows, listed), notes=notes, profiles=PROFILES)


@given(st.lists(requests, max_size=60))
def test_the_active_profile_gives_back_its_own_record(found: list[FinishedRequest]) -> None:
    """Replaying what was recorded through the profile that decided it costs what it cost, within 1 %."""
    recorded = sum(one.cost or 0.0 for one in found)

    result = replay(rows_of(*found), PREMIUM)

    assert result.cost_after.usd == pytest.approx(recorded, rel=0.01, abs=1e-6)
    assert result.cost_after.unpriced == result.cost_before.unpriced
    assert {move.before for move in result.moves} == {move.after for move in result.moves}
    assert result.findings == []


@pytest.mark.parametrize(
    ("cached_price", "usd"), [(PROMPT_PRICE / 10, 60 * PROMPT_PRICE * 0.9), (None, None)]
)
def test_what_caches_save_is_said_of_what_would_move(cached_price: float | None, usd: float | None) -> None:
    """The share always, dollars only where the price of a cached token is known."""
    moving = finished(prompt_tokens=100, cached_tokens=60)
    price = Price(PROMPT_PRICE, COMPLETION_PRICE, cached=cached_price)

    def found(candidate: Profile) -> CacheLoss:
        rows = rows_of(moving)
        prices = Prices(rows, lambda _: price)
        return forecast(rows, candidate, span=SPAN, prices=prices, notes=NOTES, profiles=PROFILES).caches

    assert found(CHEAP).share == pytest.approx(0.6)
    assert found(CHEAP).usd == (None if usd is None else pytest.approx(usd))
    assert (found(PREMIUM).share, found(PREMIUM).usd) == (None, 0.0)


@given(st.lists(requests, max_size=60))
def test_half_the_price_is_half_the_cost(found: list[FinishedRequest]) -> None:
    """Groups at half the price halve the cost of exactly those requests that a switch moves and somebody answered."""
    moved = sum(
        one.prompt_tokens * PROMPT_PRICE + one.completion_tokens * COMPLETION_PRICE
        for one in found
        if one.key.reason == Reason.ACTIVE_PROFILE and one.key.outcome == RequestOutcome.ANSWERED
    )
    stay = sum(
        one.cost or 0.0
        for one in found
        if not (one.key.reason == Reason.ACTIVE_PROFILE and one.key.outcome == RequestOutcome.ANSWERED)
    )

    result = replay(rows_of(*found), CHEAP)

    assert result.cost_after.usd == pytest.approx(moved / 2 + stay, rel=1e-6, abs=1e-6)
    assert result.requests == len(found)
    assert result.followed == sum(one.key.reason == Reason.ACTIVE_PROFILE for one in found)


@given(st.lists(requests, min_size=1, max_size=60))
def test_measured_prices_know_prompt_from_answer(found: list[FinishedRequest]) -> None:
    """Requests of the same prices in another mix of prompt and answer are forecast right from what was measured."""
    elsewhere = [
        finished(
            task="chat",
            chosen_group="chat_cheap",
            served_group="chat_cheap",
            reason=Reason.OVERRIDE_HEADER,
            **mix,
        )
        for mix in (
            {"prompt_tokens": 4000, "completion_tokens": 10, "cost": 0.00402, "output_cost": 0.00002},
            {"prompt_tokens": 10, "completion_tokens": 4000, "cost": 0.00801, "output_cost": 0.008},
        )
    ]
    chats = [
        replace(one, key=one.key._replace(task="chat", tier="", chosen_group="chat_premium")) for one in found
    ]
    expected = sum(
        one.prompt_tokens * PROMPT_PRICE + one.completion_tokens * COMPLETION_PRICE
        for one in chats
        if one.key.reason == Reason.ACTIVE_PROFILE and one.key.outcome == RequestOutcome.ANSWERED
    )

    result = replay(rows_of(*chats, *elsewhere), CHEAP)

    moved = [move for move in result.moves if move.before != move.after]
    assert {move.basis for move in moved} <= {Basis.MEASURED}
    replayed = sum(move.cost_after.usd for move in moved)
    failed = sum(one.cost or 0.0 for one in chats if one.key.outcome != RequestOutcome.ANSWERED)
    assert replayed == pytest.approx(expected + failed, rel=0.01, abs=1e-6)


def test_without_a_price_the_cost_is_unknown() -> None:
    """A group nobody has priced makes its requests unpriced, not free."""
    nowhere = profile("nowhere")

    result = replay(rows_of(finished(), finished()), nowhere)

    (move,) = result.moves
    assert move.basis is Basis.UNPRICED
    assert (move.cost_after.priced, move.cost_after.unpriced) == (0, 2)
    assert [finding.kind for finding in result.findings] == [Violation.UNKNOWN_GROUP]


def test_a_group_of_which_one_deployment_has_no_price_is_measured_on_the_others() -> None:
    """Tokens that nobody priced do not make the price look lower."""
    rows = rows_of(finished(), finished(deployment="free", cost=None, prompt_tokens=10**6))

    price = Prices(rows, listed).of("chat_premium")

    assert price is not None
    assert price.prompt == pytest.approx(PROMPT_PRICE)
    assert price.completion == pytest.approx(COMPLETION_PRICE)
    assert (price.basis, price.requests) == (Basis.MEASURED, 1)


def test_latency_is_forecast_where_it_was_measured() -> None:
    """The other group's own times, on the same task first; with too few of them it is not known."""
    slow = [
        finished(
            chosen_group="chat_cheap", served_group="chat_cheap", reason=Reason.PASSTHROUGH, latency_ms=900.0
        )
        for _ in range(ENOUGH)
    ]
    fast = [finished(latency_ms=100.0) for _ in range(ENOUGH)]

    known = replay(rows_of(*slow, *fast), CHEAP).moves
    unknown = replay(rows_of(*slow[1:], *fast), CHEAP).moves

    moved = next(move for move in known if move.before != move.after)
    assert moved.latency_before is not None
    assert moved.latency_after is not None
    assert moved.latency_after.p50_ms == pytest.approx(900, rel=0.05)
    assert moved.latency_before.p95_ms == pytest.approx(100, rel=0.05)
    assert next(move for move in unknown if move.before != move.after).latency_after is None


def test_a_talkative_group_widens_the_forecast() -> None:
    """Where the other group is known to answer longer, the high end counts its length and the low end the recorded."""
    talkative = [
        finished(
            chosen_group="chat_cheap",
            served_group="chat_cheap",
            reason=Reason.PASSTHROUGH,
            completion_tokens=300,
            cost=None,
        )
        for _ in range(ENOUGH)
    ]

    result = replay(rows_of(*talkative, finished()), CHEAP)

    moved = next(move for move in result.moves if move.before != move.after)
    assert moved.cost_after.low == moved.cost_after.usd
    assert moved.cost_after.high > 10 * moved.cost_after.usd


def test_what_does_not_fit_is_found() -> None:
    """Window, modality and abilities of the other group are held against the largest request and what it carried."""
    note = GroupNote(context_window=4096, capabilities=frozenset({"sentiment"}))
    rows = rows_of(
        finished(prompt_tokens=5000, images=True), finished(audio=True), finished(at=NOW - HOUR, images=True)
    )

    found = replay(rows, CHEAP, {**NOTES, "chat_cheap": note}).findings

    assert {finding.kind for finding in found} == {
        Violation.CONTEXT_WINDOW,
        Violation.MODALITY,
        Violation.CAPABILITY,
    }
    assert all(isinstance(finding, FitFinding) and finding.task == "chat" for finding in found)
    window = next(finding for finding in found if finding.kind is Violation.CONTEXT_WINDOW)
    assert "5003" in window.detail
    assert "4096" in window.detail
    assert any("2 requests" in finding.detail for finding in found)


def test_a_group_that_can_hold_everything_is_no_finding() -> None:
    """Where nobody said what a group holds, nothing is claimed."""
    note = GroupNote(modalities=frozenset({"text", "image"}), capabilities=frozenset({"chat"}))

    found = replay(rows_of(finished(images=True)), CHEAP, {**NOTES, "chat_cheap": note}).findings

    assert found == []


@pytest.mark.parametrize(
    ("names", "group"),
    [
        ({"task": "chat"}, "chat_cheap"),
        ({"task": "chat", "reason": Reason.OVERRIDE_HEADER}, "chat_premium"),
        ({"task": "chat", "reason": Reason.PASSTHROUGH}, "chat_premium"),
        ({"task": "chat", "reason": Reason.BINDING}, "chat_premium"),
        ({"task": "chat", "reason": Reason.OVERRIDE_DENIED}, "chat_cheap"),
        ({"task": "chat", "tier": "complex", "chosen_group": "complex_premium"}, "complex_cheap"),
        ({"task": "chat", "tier": "complex", "chosen_group": "spare_complex_cheap"}, "spare_complex_cheap"),
        ({"task": "rag", "tier": "fast", "chosen_group": "fast_premium"}, "fast_cheap"),
        ({"task": "", "tier": "fast", "chosen_group": "fast_premium"}, "fast_cheap"),
        ({"task": "", "chosen_group": "own"}, "own"),
        ({"task": "new"}, "chat_premium"),
    ],
)
def test_where_a_request_would_have_gone(names: dict[str, str], group: str) -> None:
    """Only what the active profile decided moves; classified requests keep their tier, and a group of it stays."""
    key = finished(**names).key

    assert target(key, CHEAP, auto=asked_auto(key, PREMIUM)) == group


def test_a_task_that_was_automatic_goes_where_the_other_profile_sends_it() -> None:
    """A tier is no sign of `auto` where the profile that decided leaves the task to it; `auto` itself stays by tier."""
    leaves = replace(PREMIUM, tasks={"chat": "auto", "extraction": "extraction_premium"})
    chat, other = (finished(task=task, tier="fast").key for task in ("chat", "extraction"))

    assert target(chat, CHEAP, auto=asked_auto(chat, leaves)) == "chat_cheap"
    assert target(chat, leaves, auto=asked_auto(chat, leaves)) == "fast_premium"
    assert target(other, CHEAP, auto=asked_auto(other, leaves)) == "fast_cheap"


@pytest.mark.parametrize(
    ("asked", "group"),
    [("auto", "fast_cheap"), ("premium/auto:fast", "fast_cheap"), ("chat", "chat_cheap"), ("", "fast_cheap")],
)
def test_one_request_is_explained_by_what_it_asked_for(asked: str, group: str) -> None:
    """Whatever it was classified as; where that was not kept, by its tier."""
    request = finished(task="chat", tier="fast", asked=asked, chosen_group="fast_premium")

    found = {one.profile: one for one in explain(request, PROFILES, Prices({}, listed)).alternatives}

    assert found["cheap"].group == group


def test_a_task_that_becomes_automatic_goes_to_the_uncertain_tier() -> None:
    """Nobody classified these requests, so the tier for uncertain ones is assumed; an empty ladder changes nothing."""
    automatic = replace(CHEAP, tasks={"chat": "auto"}, uncertain=Tier.FAST)
    key = finished(task="chat").key

    assert target(key, automatic, auto=False) == "fast_cheap"
    assert target(key, replace(automatic, tiers={}), auto=False) == "chat_premium"


@pytest.mark.parametrize(
    ("since", "until", "oldest", "days"),
    [
        (-7 * DAY, 0, -2 * HOUR, 2 / 24),
        (-2 * HOUR, 0, -7 * DAY, 2 / 24),
        (-DAY, 30 * DAY, -DAY, 1),
        (-DAY, -HOUR, None, 23 / 24),
        (DAY, 2 * DAY, -DAY, 1 / 1440),
        (-DAY, -HOUR, -MINUTE, 1 / 1440),
    ],
)
def test_the_days_are_those_of_the_record(since: int, until: int, oldest: int | None, days: float) -> None:
    """Neither before the record began nor after now is there a day to divide by; hours without requests are some."""
    now = int(NOW)

    kept = recorded(
        TimeSpan(now + since, now + until), oldest=None if oldest is None else now + oldest, now=now
    )

    assert kept.days == pytest.approx(days)


def test_nothing_recorded_costs_nothing() -> None:
    """And moves nothing."""
    empty = replay({}, PREMIUM)

    assert (empty.requests, empty.moves, empty.cost_after.priced) == (0, [], 0)


def test_one_request_is_priced_under_every_profile() -> None:
    """The own profile says what it cost, another one what its group costs, a third that nobody knows."""
    request = finished(reason=Reason.OVERRIDE_HEADER)
    profiles = {name: profile(name) for name in ("premium", "cheap", "nowhere")}

    found = {one.profile: one for one in explain(request, profiles, Prices({}, listed)).alternatives}

    assert found["premium"].cost == request.cost
    assert found["premium"].basis is Basis.RECORDED
    assert found["cheap"].cost == pytest.approx((request.cost or 0) / 2)
    assert (found["nowhere"].cost, found["nowhere"].basis) == (None, Basis.UNPRICED)
    assert found["cheap"].group == "chat_cheap"


def test_a_request_without_a_price_or_without_tokens_is_not_called_free() -> None:
    """What nobody priced, and what failed before it used a token, has no cost to compare."""
    profiles = {name: profile(name) for name in ("premium", "cheap")}

    unpriced = explain(finished(cost=None), profiles, Prices({}, listed)).alternatives
    failed = explain(
        finished(cost=None, prompt_tokens=0, completion_tokens=0, outcome=RequestOutcome.TIMEOUT),
        profiles,
        Prices({}, listed),
    ).alternatives

    assert [(one.profile, one.basis) for one in unpriced] == [
        ("cheap", Basis.LISTED),
        ("premium", Basis.UNPRICED),
    ]
    assert [one.cost for one in failed] == [None, None]


def test_dollars_of_a_move_are_those_recorded() -> None:
    """Before and after of a move that changes nothing are the recorded dollars."""
    (move,) = replay(rows_of(finished(cost=0.25)), PREMIUM).moves

    assert move.cost_before.usd == move.cost_after.usd == 0.25
    assert round(move.cost_after.usd * NANO) == NANO // 4
