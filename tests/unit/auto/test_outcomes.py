"""Outcomes move the tiers of `auto`: within a decision, from hearing of them to using them, and never beyond a cap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neuronode_router.access import Principal, Role
from neuronode_router.auto.comparison import Comparison
from neuronode_router.auto.diverted import DivertedOf
from neuronode_router.auto.learning import Learning
from neuronode_router.auto.outcome_store import HOUR, OutcomeOf, OutcomeStore, Spans
from neuronode_router.auto.outcomes import Outcomes
from neuronode_router.auto.router import Caller
from neuronode_router.background import Failures
from neuronode_router.classifier import classify, shipped
from neuronode_router.classifier.history import FeedbackOutcome, History, Sign
from neuronode_router.classifier.observed import scheme
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.domain.rules import Stickiness
from neuronode_router.errors import CommitUnknown, SettingsError, StoreUnavailable
from neuronode_router.routing.sufficiency import OutcomeCounts, RequestKind, Sufficiency, suffices
from neuronode_router.settings import Settings
from neuronode_router.storage.database import Database
from tests.support.migrated import migrated
from tests.support.waiting import eventually
from tests.unit.auto.test_router import ME, STRATEGY, Worker

SUMMARY = "Fasse den Bericht über das dritte Quartal in fünf Sätzen zusammen."

KIND = RequestKind("balanced", "summary")


class Known(Outcomes):
    """Outcomes that were seen elsewhere."""

    def __init__(self, *seen: tuple[Tier, float, float]) -> None:
        self.known = Sufficiency(
            {(KIND, tier): OutcomeCounts(good, bad, 0.8 * (good + bad)) for tier, good, bad in seen}
        )


def routed(
    *seen: tuple[Tier, float, float], chance: float = 1.0, caller: Caller = ME
) -> tuple[Tier | None, Step]:
    """Return where a summary is sent, and by which step."""
    worker = Worker(chance=lambda: chance)
    worker.router.use(shipped())
    worker.router.outcomes = Known(*seen)
    decision = worker.ask(SUMMARY, caller=caller).decision
    return decision.tier, decision.steps[0]


def test_the_text_alone_begins() -> None:
    """Without outcomes, and with too few of them."""
    assert routed() == routed((Tier.MEDIUM, 1, 0)) == (Tier.MEDIUM, Step.CLASSIFIED)


def test_a_tier_that_fails_gives_way_and_one_that_suffices_takes_over() -> None:
    """Both are said in the reasons."""
    assert routed((Tier.MEDIUM, 5, 95)) == (Tier.COMPLEX, Step.LEARNED)
    assert routed((Tier.FAST, 297, 3)) == (Tier.FAST, Step.LEARNED)


def test_a_lighter_tier_is_tried_where_nobody_knows() -> None:
    """By a few requests, one step down; not where enough was seen, and not below the lightest."""
    assert routed(chance=0.0) == (Tier.FAST, Step.TRIED)
    assert routed((Tier.FAST, 30, 70), chance=0.0)[0] is Tier.MEDIUM
    assert routed((Tier.FAST, 297, 3), chance=0.0) == (Tier.FAST, Step.LEARNED)


@pytest.mark.parametrize(
    ("chance", "sent"), [(0.0, (Tier.MEDIUM, Step.TRIED)), (0.02, (Tier.COMPLEX, Step.LEARNED))]
)
def test_what_outcomes_keep_off_a_tier_is_tried_on_it_now_and_then(
    chance: float, sent: tuple[Tier, Step]
) -> None:
    """By one in a hundred, however many outcomes there are: the fault may be over."""
    assert routed((Tier.MEDIUM, 5, 295), chance=chance) == sent


@pytest.mark.parametrize(
    ("seen", "chance", "caller", "instead"),
    [
        ((), 1.0, ME, None),
        (((Tier.MEDIUM, 5, 95),), 1.0, ME, Tier.MEDIUM),
        (((Tier.FAST, 297, 3),), 1.0, ME, Tier.MEDIUM),
        ((), 0.0, ME, Tier.MEDIUM),
        (((Tier.MEDIUM, 5, 95),), 0.0, ME, None),
        (((Tier.MEDIUM, 5, 95),), 1.0, Caller("me", max_tier=Tier.MEDIUM), None),
    ],
    ids=["by text", "learned up", "learned down", "tried", "tried again", "capped to what the text says"],
)
def test_what_the_text_alone_would_have_chosen_is_told(
    seen: tuple[tuple[Tier, float, float], ...], chance: float, caller: Caller, instead: Tier | None
) -> None:
    """With kind and group, for the report; only where it is another tier than what answers."""
    worker = Worker(chance=lambda: chance)
    worker.router.use(shipped())
    worker.router.outcomes = Known(*seen)

    found = worker.ask(SUMMARY, caller=caller)

    told = worker.router.diverted_from(found, worker.snapshot)
    assert found.decision.instead is instead
    assert told == (instead and {"label": "summary", "tier": instead.value, "group": "middle"})


def test_no_outcome_leads_past_a_cap() -> None:
    """The caller's highest tier holds, whatever was learned."""
    assert routed((Tier.MEDIUM, 0, 100), caller=Caller("me", max_tier=Tier.MEDIUM))[0] is Tier.MEDIUM


@pytest.mark.parametrize("stickiness", [Stickiness.TIER, Stickiness.DEPLOYMENT])
def test_a_trial_moves_no_session(stickiness: Stickiness) -> None:
    """What is tried on a lighter tier is one request: the next one of the session goes where its text says."""
    caller, chances = Caller("me", session="s1"), iter([1.0, 0.0, *[1.0] * 9])
    worker = Worker(stickiness=stickiness, chance=lambda: next(chances))
    worker.router.use(shipped())
    worker.router.outcomes = Known()

    tried, *others = (worker.ask(STRATEGY, caller=caller).decision for _ in range(3))

    assert (tried.tier, tried.steps[0]) == (Tier.MEDIUM, Step.TRIED)
    assert [(one.tier, one.steps[0]) for one in others] == [
        (Tier.COMPLEX, Step.CLASSIFIED),
        (Tier.COMPLEX, Step.SESSION),
    ]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty one."""
    found = Database(migrated(tmp_path / "control.db"))
    yield found
    found.dispose()


async def test_what_one_worker_hears_all_use(database: Database) -> None:
    """Through SQL, at the next refresh of each; forgetting goes back to the text."""
    first, second = Outcomes(OutcomeStore(database)), Outcomes(OutcomeStore(database))
    expected = suffices(classify(SUMMARY).chances or (), Tier.MEDIUM)
    for _ in range(60):
        first.saw(OutcomeOf(KIND, Tier.MEDIUM), good=False, expected=expected)

    await first.refresh()
    await second.refresh()
    worker = Worker(chance=lambda: 1.0)
    worker.router.use(shipped())
    worker.router.outcomes = second
    assert worker.ask(SUMMARY).decision.tier is Tier.COMPLEX

    assert await first.forget() == 60
    await second.refresh()
    assert worker.ask(SUMMARY).decision.tier is Tier.MEDIUM


async def test_what_could_not_be_shared_is_shared_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is away loses nothing."""
    store = OutcomeStore(database)
    outcomes = Outcomes(store)
    outcomes.saw(OutcomeOf(KIND, Tier.FAST), good=True, expected=0.5)
    diverted = DivertedOf(KIND, Step.TRIED, Tier.MEDIUM, Tier.FAST)
    outcomes.diverted(diverted, saved_usd=0.25)

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(store, "add", away)
        with pytest.raises(StoreUnavailable):
            await outcomes.refresh()
    outcomes.saw(OutcomeOf(KIND, Tier.FAST), good=False, expected=0.5)
    outcomes.diverted(diverted, saved_usd=None)
    await outcomes.refresh()

    assert outcomes.known.counts()[KIND, Tier.FAST] == OutcomeCounts(1, 1, 1.0)
    assert [(line.requests, line.step, line.saved_usd) for line in await outcomes.report()] == [
        (2, Step.TRIED, None)
    ]


@pytest.mark.parametrize("fails_in", ["moment", "purge", "spans"])
async def test_an_outcome_is_counted_once_whatever_fails_beside_it(
    database: Database, monkeypatch: pytest.MonkeyPatch, fails_in: str
) -> None:
    """Each other step of a refresh may fail before or after it was added."""
    store = OutcomeStore(database)
    outcomes = Outcomes(store)
    outcomes.saw(OutcomeOf(KIND, Tier.FAST), good=True, expected=0.5)

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(store, fails_in, away)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await outcomes.refresh()
    await outcomes.refresh()

    assert outcomes.known.counts()[KIND, Tier.FAST] == OutcomeCounts(1, 0, 0.5)


async def test_an_outcome_whose_commit_is_unknown_is_not_added_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be in force: one less is better than one twice."""
    store = OutcomeStore(database)
    outcomes = Outcomes(store)
    outcomes.saw(OutcomeOf(KIND, Tier.FAST), good=True, expected=0.5)
    add = store.add

    def unanswered(*arguments: Any, **named: Any) -> None:
        add(*arguments, **named)
        raise CommitUnknown("gone")

    with monkeypatch.context() as broken:
        broken.setattr(store, "add", unanswered)
        with pytest.raises(CommitUnknown):
            await outcomes.refresh()
    await outcomes.refresh()

    assert outcomes.known.counts()[KIND, Tier.FAST] == OutcomeCounts(1, 0, 0.5)


async def test_what_others_had_heard_does_not_come_back(database: Database) -> None:
    """What a worker heard before another one forgot everything is dropped; what it hears after that counts."""
    first, second = Outcomes(OutcomeStore(database)), Outcomes(OutcomeStore(database))
    for worker in (first, second):
        await worker.refresh()
        worker.saw(OutcomeOf(KIND, Tier.FAST), good=True, expected=0.5)

    await first.forget()
    await second.refresh()
    second.saw(OutcomeOf(KIND, Tier.FAST), good=False, expected=0.5)
    await second.refresh()
    await first.refresh()

    assert first.known.counts() == second.known.counts() == {(KIND, Tier.FAST): OutcomeCounts(0, 1, 0.5)}


async def test_what_is_heard_after_all_was_forgotten_counts(database: Database) -> None:
    """By the worker that forgets at once: it knows what it had heard before."""
    outcomes = Outcomes(OutcomeStore(database))
    outcomes.saw(OutcomeOf(KIND, Tier.FAST), good=True, expected=0.5)
    await outcomes.refresh()
    outcomes.saw(OutcomeOf(KIND, Tier.FAST), good=True, expected=0.5)

    assert await outcomes.forget() == 1
    outcomes.saw(OutcomeOf(KIND, Tier.FAST), good=False, expected=0.5)
    await outcomes.refresh()

    assert outcomes.known.counts() == {(KIND, Tier.FAST): OutcomeCounts(0, 1, 0.5)}


async def test_what_is_old_is_read_once_an_hour(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """In between only the newest hours are; what others count in these is known at the next refresh all the same."""
    now = 100.5 * HOUR
    store, others = OutcomeStore(database), OutcomeStore(database)
    outcomes = Outcomes(store, clock=lambda: now)
    read, asked = store.spans, []

    def spans(**hours: int) -> Spans:
        asked.append(hours)
        return read(**hours)

    monkeypatch.setattr(store, "spans", spans)
    others.add({OutcomeOf(KIND, Tier.FAST): OutcomeCounts(1)}, at=20 * HOUR)
    for _ in range(3):
        others.add({OutcomeOf(KIND, Tier.FAST): OutcomeCounts(0, 1)}, at=now)
        await outcomes.refresh()
    assert outcomes.known.counts()[KIND, Tier.FAST] == OutcomeCounts(1, 3)
    now += HOUR
    await outcomes.refresh()

    old, new = [{"before": 99 * HOUR}], [{"since": 99 * HOUR, "before": 101 * HOUR}]
    assert asked == old + 3 * new + [{"before": 100 * HOUR}, {"since": 100 * HOUR, "before": 102 * HOUR}]
    assert outcomes.known.counts()[KIND, Tier.FAST] == OutcomeCounts(1, 3)


def learner(state_dir: Path, database: Database) -> tuple[Outcomes, Learning, Worker]:
    """Return a worker whose started learning counts outcomes."""
    given = {"NEURONODE_STATE_DIR": str(state_dir), "NEURONODE_HISTORY": "on", "NEURONODE_OUTCOMES": "on"}
    outcomes = Outcomes(OutcomeStore(database))
    learning = Learning(Settings.load(given), failures=Failures(), outcomes=outcomes)
    assert learning.recorder is not None
    worker = Worker(watchers=[learning.recorder])
    worker.router.use(learning.first())
    learning.start()
    return outcomes, learning, worker


ADMIN = Principal("root", Role.ADMIN)
WRONG, RIGHT = FeedbackOutcome.WRONG, FeedbackOutcome.RIGHT


@pytest.mark.parametrize(
    ("signs", "answerer", "counted"),
    [
        ([Sign(RIGHT)], "me", (1, 0)),
        ([Sign(RIGHT)], None, (0, 0)),
        ([Sign(RIGHT)], "another with the same call id", (0, 0)),
        ([Sign(WRONG, tier=Tier.COMPLEX)], "me", (0, 1)),
        ([Sign(WRONG, tier=Tier.COMPLEX)], None, (0, 1)),
        ([Sign(WRONG, tier=Tier.FAST)], "me", (1, 0)),
        ([Sign(WRONG, label="extraction")], "me", (0, 0)),
        ([Sign(WRONG, tier=Tier.COMPLEX), Sign(WRONG, tier=Tier.COMPLEX), Sign(RIGHT)], "me", (0, 1)),
    ],
)
async def test_a_verdict_counts_once_for_the_tier_that_was_chosen(
    tmp_path: Path,
    database: Database,
    signs: list[Sign],
    answerer: str | None,
    counted: tuple[int, int],
) -> None:
    """A heavier tier would have been right: this one did not suffice. A wrong task says nothing of the tier, and the
    right answer of a fallback neither.
    """
    outcomes, learning, worker = learner(tmp_path, database)
    assert learning.recorder is not None

    worker.ask(SUMMARY, litellm_call_id="call-1")
    if answerer is not None:
        learning.recorder.answered("call-1", caller=answerer)
    for call_id in ("call-2", "call-3"):  # when the second of them is there, all of the first one's batch is
        worker.ask(SUMMARY, litellm_call_id=call_id)
        await eventually(lambda call_id=call_id: learning._history.find(call_id))  # type: ignore[misc]
    for sign in signs:
        await learning.judge("call-1", sign, by=ADMIN, key_hash="")
    await outcomes.refresh()
    learning.stop()

    found = outcomes.known.counts().get((KIND, Tier.MEDIUM), OutcomeCounts())
    assert (found.good, found.bad) == counted


async def test_a_weak_sign_keeps_nobody_from_saying_more(tmp_path: Path, database: Database) -> None:
    """Forms are heard at once, of every answer that demands one: what people or an escalation say later counts too."""
    outcomes, learning, worker = learner(tmp_path, database)
    assert learning.recorder is not None

    worker.ask(SUMMARY, litellm_call_id="call-1")
    kinds = FeedbackOutcome.SUFFICED, FeedbackOutcome.ESCALATED, FeedbackOutcome.LABEL_FAILURE
    for kind in (*kinds, *kinds):
        learning.recorder.outcome("call-1", kind, callers=("me",))
    await eventually(lambda: sum(counts.total for counts in outcomes._heard.values()) == 2, seconds=60)
    for _ in range(2):
        await learning.judge("call-1", Sign(WRONG, tier=Tier.COMPLEX), by=ADMIN, key_hash="")
    learning.stop()
    await outcomes.refresh()

    ((_, verdicts),) = outcomes.known._verdicts.items()
    ((_, hints),) = outcomes.known._hints.items()
    assert (verdicts.good, verdicts.bad) == (0, 1)
    assert (hints.good, hints.bad) == (1, 1)


async def test_what_an_answers_form_shows_is_held_against_what_forms_show(
    tmp_path: Path, database: Database
) -> None:
    """One in five of a wrong form diverts requests of the kind away, and of no other kind."""
    outcomes, learning, worker = learner(tmp_path, database)
    assert learning.recorder is not None

    for number in range(50):
        worker.ask(SUMMARY, litellm_call_id=f"call-{number}")
        kind = FeedbackOutcome.LABEL_FAILURE if number % 5 == 0 else FeedbackOutcome.SUFFICED
        learning.recorder.outcome(f"call-{number}", kind, callers=("me",))
    await eventually(lambda: sum(counts.total for counts in outcomes._heard.values()) == 50, seconds=60)
    learning.stop()
    await outcomes.refresh()

    assert outcomes.known.counts()[KIND, Tier.MEDIUM] == OutcomeCounts(40, 10, pytest.approx(49))
    assert outcomes.known.shift(KIND, Tier.MEDIUM) < -1
    assert outcomes.known.shift(RequestKind("balanced", "rag"), Tier.MEDIUM) == 0


async def test_the_judges_verdict_is_held_against_the_text_and_kept_as_a_lesson(
    tmp_path: Path, database: Database
) -> None:
    """Unlike a right form it says what the text had to say; whoever tells first is heard."""
    outcomes, learning, worker = learner(tmp_path, database)
    assert learning.recorder is not None
    messages = ({"role": "user", "content": SUMMARY},)

    for number, enough in enumerate((True, False, False)):
        worker.ask(SUMMARY, litellm_call_id=f"call-{number}")
        comparison = Comparison(f"call-{number}", "me", messages, "An answer.", "large")
        for verdict in (enough, not enough):
            learning.recorder.judged(comparison, verdict)
    await eventually(lambda: sum(counts.total for counts in outcomes._heard.values()) == 3, seconds=60)
    learning.stop()
    await outcomes.refresh()

    expected = suffices(classify(SUMMARY).chances or (), Tier.MEDIUM)
    assert outcomes.known.counts()[KIND, Tier.MEDIUM] == OutcomeCounts(1, 2, pytest.approx(3 * expected))
    kinds = [{sign.kind for sign in signs} for _, signs in History(tmp_path).judged(scheme())]
    assert kinds == [{FeedbackOutcome.JUDGED_ENOUGH, FeedbackOutcome.JUDGED_SHORT}] * 3


def test_outcomes_need_the_history() -> None:
    """They are those of its decisions: said at the start, not found out later."""
    with pytest.raises(SettingsError, match="NEURONODE_HISTORY=on"):
        Settings.load({"NEURONODE_OUTCOMES": "on"})
