"""The AutoRouter of a worker: sessions, tool loops, shadow mode, memory, and who is told."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from neuronode_router.auto.decision_log import RoutingLog
from neuronode_router.auto.explain import explain
from neuronode_router.auto.router import AutoRouter, Caller, Routed
from neuronode_router.classifier import Classifier, lexicon
from neuronode_router.domain.decisions import Decision, Step
from neuronode_router.domain.names import TASK_ALIASES, Tier
from neuronode_router.domain.profiles import HostFacts, ProfileSet
from neuronode_router.domain.rules import NothingFits, Stickiness
from neuronode_router.domain.state import ControlState
from neuronode_router.routing.admit import admit
from neuronode_router.routing.fallback_chain import DeploymentStatus
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.overload import Health
from neuronode_router.routing.snapshot import Snapshot, build_snapshot
from tests.support.control import make_profile

CANARY = "Zebrafink-4711"
SENTIMENT = "Wie ist die Stimmung in diesem Text: bullish oder bearish?"
STRATEGY = "Entwickle eine detaillierte Handelsstrategie mit Szenarien und Risiken."
TIERS = {Tier.FAST: ("small",), Tier.MEDIUM: ("middle",), Tier.COMPLEX: ("large",)}
TOOLS = [{"type": "function", "function": {"name": "look_up"}}]
ME = Caller("me")


def snapshot(
    stickiness: Stickiness = Stickiness.OFF, nothing_fits: NothingFits = NothingFits.REFUSE
) -> Snapshot:
    profile = replace(
        make_profile("balanced"),
        tasks=dict.fromkeys(TASK_ALIASES, "middle"),
        tiers=TIERS,
        stickiness=stickiness,
        nothing_fits=nothing_fits,
    )
    state = ControlState(3, "balanced", ProfileSet({"balanced": profile}), committed_at=0.0)
    return build_snapshot(state, HostFacts(groups=frozenset({"small", "middle", "large"})))


class Worker:
    """An AutoRouter with deployments whose health a test sets."""

    def __init__(
        self,
        *,
        stickiness: Stickiness = Stickiness.OFF,
        nothing_fits: NothingFits = NothingFits.REFUSE,
        **options: Any,
    ) -> None:
        self.health: dict[str, Health] = {}
        self.snapshot = snapshot(stickiness, nothing_fits)
        self.router = AutoRouter(
            classifier=Classifier(lexicon.shipped(), None), statuses=self.statuses, **options
        )

    def statuses(self) -> Mapping[str, tuple[DeploymentStatus, ...]]:
        return {
            group: (DeploymentStatus(Deployment(f"{group}-1", group), state),)
            for group, state in self.health.items()
        }

    def ask(self, text: str, *, caller: Caller = ME, name: str = "auto", **body: Any) -> Routed:
        return self.send([{"role": "user", "content": text}], caller=caller, name=name, **body)

    def send(
        self, messages: list[dict[str, Any]], *, caller: Caller = ME, name: str = "auto", **body: Any
    ) -> Routed:
        decision = admit(self.snapshot, name, wanted_profile=None, may_override=lambda _: True)
        return self.router.route(
            decision, {"messages": messages, **body}, snapshot=self.snapshot, caller=caller
        )

    def begin(self, group: str, messages: list[dict[str, Any]], *, caller: Caller = ME) -> None:
        """Have a tool loop begin at a group, whatever its text says."""
        self.health = dict.fromkeys({"small", "middle", "large"} - {group}, Health.UNAVAILABLE)
        assert self.send(messages, tools=TOOLS, caller=caller).decision.group == group
        self.health = {}


def test_the_text_decides_the_tier() -> None:
    """German prompts of two kinds go to the two ends of the ladder."""
    worker = Worker()

    assert worker.ask(SENTIMENT).decision.group == "small"
    assert worker.ask(STRATEGY).decision.group == "large"


def test_a_tool_loop_stays_where_it_began_though_that_is_overloaded_meanwhile() -> None:
    """The same person's turn, now with tool results after it: another tier would not understand the calls."""
    worker = Worker()
    asked = {"role": "user", "content": STRATEGY}
    began = worker.send([asked], tools=TOOLS)
    worker.health["large"] = Health.SLOW

    goes_on = worker.send(
        [asked, {"role": "assistant", "tool_calls": [{}]}, {"role": "tool", "content": "42"}], tools=TOOLS
    )
    stranger = worker.send(
        [asked, {"role": "assistant", "tool_calls": [{}]}, {"role": "tool", "content": "42"}],
        tools=TOOLS,
        caller=Caller("somebody else"),
    )

    assert began.decision.group == goes_on.decision.group == "large"
    assert goes_on.decision.steps[0] is Step.TOOL_LOOP
    assert stranger.decision.steps[0] is Step.CLASSIFIED


def test_a_session_keeps_its_tier_where_the_profile_says_so() -> None:
    """The second question of a session is simple, and still goes where the first one went."""
    caller = Caller("me", session="s1")
    sticky, loose = Worker(stickiness=Stickiness.TIER), Worker()

    for worker in (sticky, loose):
        worker.ask(STRATEGY, caller=caller)

    assert sticky.ask(SENTIMENT, caller=caller).decision.steps[0] is Step.SESSION
    assert sticky.ask(SENTIMENT, caller=caller).decision.group == "large"
    assert sticky.ask(SENTIMENT, caller=Caller("you", session="s1")).decision.group == "small"
    assert loose.ask(SENTIMENT, caller=caller).decision.group == "small"


@pytest.mark.parametrize("stickiness", [Stickiness.TIER, Stickiness.DEPLOYMENT])
def test_no_single_request_moves_a_session(stickiness: Stickiness) -> None:
    """Neither one that load has led elsewhere, nor one that names its tier, with its tool loop; wherever they come."""
    caller, worker = Caller("me", session="s1"), Worker(stickiness=stickiness)
    asked = {"role": "user", "content": SENTIMENT}
    loop = [asked, {"role": "assistant", "tool_calls": [{}]}, {"role": "tool", "content": "42"}]

    assert worker.ask(SENTIMENT, name="auto:fast", caller=caller).decision.group == "small"
    worker.health["large"] = Health.SLOW
    moved = worker.ask(STRATEGY, caller=caller)
    worker.router.answered(moved.sessions, "middle-1")
    worker.health.clear()
    back = worker.ask(SENTIMENT, caller=caller)
    worker.router.answered(back.sessions, "large-1")
    worker.send([asked], name="auto:fast", tools=TOOLS, caller=caller)
    looped = worker.send(loop, name="auto:fast", tools=TOOLS, caller=caller)
    worker.router.answered(looped.sessions, "small-1")
    again = worker.ask(SENTIMENT, caller=caller)

    assert (moved.decision.group, looped.decision.group) == ("middle", "small")
    assert (back.decision.group, again.decision.group) == ("large", "large")
    assert again.decision.keep == ("large-1" if stickiness is Stickiness.DEPLOYMENT else None)


def test_a_session_keeps_the_deployment_that_answered() -> None:
    """What answered is remembered, and kept while it is well."""
    worker = Worker(stickiness=Stickiness.DEPLOYMENT)
    caller = Caller("me", session="s1")
    first = worker.ask(STRATEGY, caller=caller)
    worker.router.answered(first.sessions, "large-1")

    assert worker.ask(SENTIMENT, caller=caller).decision.keep == "large-1"


def test_the_callers_cap_holds() -> None:
    """A prompt that begs for the heaviest tier stays below the cap."""
    found = Worker().ask(f"{STRATEGY} Use the 70B model!", caller=Caller("me", max_tier=Tier.FAST))

    assert found.decision.group == "small"
    assert Step.CAPPED in found.decision.steps


def test_shadow_decides_and_does_not_act() -> None:
    """The fixed tier answers; what would have been done is told to those who watch."""
    told: list[Routed] = []
    worker = Worker(mode="shadow", watchers=[lambda routed, *_: told.append(routed)])

    found = worker.ask(STRATEGY)

    assert (found.decision.group, found.decision.steps) == ("middle", (Step.SHADOW,))
    assert told[0].considered.group == "large"
    assert explain(told[0])["in_force"] is False
    assert worker.router.mode == "shadow"


def test_switched_off_nothing_is_classified_and_forced_tiers_still_hold() -> None:
    """`auto` is one fixed tier then; a name that forces a tier is no classification."""
    worker = Worker(mode="off")

    assert worker.ask(STRATEGY).decision.steps == (Step.AUTO_OFF,)
    assert worker.ask(SENTIMENT, name="auto:complex").decision.group == "large"
    assert worker.router.mode == "off"


def test_a_repeated_prompt_is_classified_once_and_a_new_classifier_begins_anew() -> None:
    """Decisions are cached by a hash, per classifier."""
    counting = Counting()
    worker = Worker()
    worker.router.use(counting)

    for _ in range(3):
        worker.ask(SENTIMENT)
    assert counting.calls == 1

    worker.router.use(counting)
    worker.ask(SENTIMENT)
    assert counting.calls == 2


def test_what_came_again_last_is_remembered_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many are kept: the one that was asked for longest ago goes."""
    monkeypatch.setattr("neuronode_router.auto.router.REMEMBERED", 2)
    counting = Counting()
    worker = Worker()
    worker.router.use(counting)

    for text in (SENTIMENT, STRATEGY, SENTIMENT, "Hi!", SENTIMENT):
        worker.ask(text)
    assert counting.calls == 3

    worker.ask(STRATEGY)
    assert counting.calls == 4


def test_what_a_classifier_said_while_another_took_its_place_is_not_remembered() -> None:
    """Classifiers are changed by another thread: what the old one says then is the old one's."""
    worker = Worker()
    new, old = Counting(), Counting(meanwhile=lambda: worker.router.use(new))
    worker.router.use(old)

    worker.ask(SENTIMENT)
    worker.ask(SENTIMENT)

    assert (old.calls, new.calls) == (1, 1)


class Counting(Classifier):
    """Counts what it is asked, and does something meanwhile."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        super().__init__(lexicon.shipped(), None)
        self.calls = 0
        self.meanwhile = meanwhile

    def classify_excerpt(self, turn: Any) -> Any:
        self.calls += 1
        self.meanwhile()
        return super().classify_excerpt(turn)


# What is collected here are also transports that tests before it in this process have left, LiteLLM's for one.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_text_is_kept() -> None:
    """After the request nothing of ours refers to a piece of its text."""
    worker = Worker(stickiness=Stickiness.TIER)
    worker.ask(f"Fasse {CANARY} zusammen.", caller=Caller("me", session="s1"), tools=TOOLS)
    gc.collect()

    texts = [found for found in gc.get_objects() if isinstance(found, Routed)]
    held = vars(worker.router)

    assert texts == []
    assert (
        CANARY.lower()
        not in repr(
            {name: list(value) if name == "_known" else value for name, value in held.items()}
        ).lower()
    )


def test_the_routing_log_is_json_lines_without_text() -> None:
    """One line per decision, with reasons of the closed set; no word of the prompt."""
    stream = StringIO()
    log = RoutingLog(stream)
    worker = Worker(watchers=[log])

    worker.ask(f"{STRATEGY} {CANARY}", litellm_call_id="c-1")
    log.stop()

    line = json.loads(stream.getvalue())
    assert (line["event"], line["call_id"], line["groups"]) == ("routed", "c-1", ["large", "middle", "small"])
    assert set(line["steps"]) <= set(Step)
    assert CANARY.lower() not in stream.getvalue().lower()


@pytest.mark.parametrize("text", [SENTIMENT, "", "xyzzy"])
def test_an_explanation_is_short_ascii_json(text: str) -> None:
    """It fits into a header, whatever was asked."""
    told = json.dumps(explain(Worker().ask(text)))

    assert told.isascii()
    assert len(told) < 2000


CALL = {"role": "assistant", "tool_calls": [{"id": "a"}]}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "42"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
BLIND = frozenset({"image"})


class Knowing(Worker):
    """A worker whose deployments are known to be able to this and that."""

    def __init__(self, known: dict[str, dict[str, Any]], **options: Any) -> None:
        super().__init__(**options)
        self.known = known

    def statuses(self) -> Mapping[str, tuple[DeploymentStatus, ...]]:
        return {
            group: (
                DeploymentStatus(
                    Deployment(f"{group}-1", group, **self.known.get(group, {})),
                    self.health.get(group, Health.OK),
                ),
            )
            for group in ("small", "middle", "large")
        }


def test_reminders_beside_results_do_not_make_another_loop() -> None:
    """What coding agents send: a text beside the result, or a turn after it; the loop stays where it began."""
    worker = Worker()
    asked = {"role": "user", "content": STRATEGY}
    worker.send([asked], tools=TOOLS)
    worker.health["large"] = Health.SLOW
    reminder = {"type": "text", "text": "<system-reminder>\nSummarise nothing.\n</system-reminder>"}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "42"}
    beside = [asked, CALL, {"role": "user", "content": [result, reminder]}]
    after = [asked, CALL, RESULT, {"role": "user", "content": [reminder]}]

    for messages in (beside, after, [asked, *[CALL, RESULT] * 100]):
        found = worker.send(messages, tools=TOOLS).decision

        assert (found.group, found.steps[0]) == ("large", Step.TOOL_LOOP)


def test_conversations_of_one_key_do_not_share_a_loop() -> None:
    """Neither by the same last words, nor where only results are sent and the rest is kept by the provider."""
    worker = Worker()
    go_on = {"role": "user", "content": "Ja, bitte."}
    begun = {
        group: [{"role": "user", "content": opening}, CALL, go_on]
        for opening, group in ((STRATEGY, "large"), (SENTIMENT, "small"))
    }
    for group, turns in begun.items():
        worker.begin(group, turns)

    for group, turns in begun.items():
        assert worker.send([*turns, CALL, RESULT], tools=TOOLS).decision.group == group

    result = {"type": "function_call_output", "call_id": "a", "output": "42"}
    kept = [worker.send([], input=[result], tools=TOOLS, previous_response_id=name) for name in ("r1", "r2")]
    assert all(found.decision.steps[0] is not Step.TOOL_LOOP for found in kept)


@pytest.mark.parametrize("rules", [20, 200])
def test_documents_in_one_template_are_loops_of_their_own(rules: int) -> None:
    """However long the template is around them: they are told apart without session ids."""
    worker, template = Worker(), "Halte dich an die Regeln des Hauses. " * rules
    begun = {
        group: [{"role": "user", "content": f"{template}\n{document}\n{template}"}]
        for document, group in (("Akte 17: ein Umzug.", "large"), ("Akte 18: ein Hagel.", "small"))
    }
    for group, turns in begun.items():
        worker.begin(group, turns)

    for group, turns in begun.items():
        found = worker.send([*turns, CALL, RESULT], tools=TOOLS).decision
        assert (found.group, found.steps) == (group, (Step.TOOL_LOOP,))


@pytest.mark.parametrize("by_name", [True, False], ids=["name", "header"])
def test_the_same_words_for_another_tier_are_another_loop(*, by_name: bool) -> None:
    """Two programs on one key ask the same, each for a tier of its own."""
    worker = Worker()
    asked = {"role": "user", "content": SENTIMENT}

    def send(tier: Tier, *more: dict[str, Any]) -> Decision:
        name = f"auto:{tier}" if by_name else "auto"
        decision = admit(worker.snapshot, name, wanted_profile=None, may_override=lambda _: True)
        decision = replace(decision, tier=tier)
        body = {"messages": [asked, *more], "tools": TOOLS}
        return worker.router.route(decision, body, snapshot=worker.snapshot, caller=ME).decision

    for tier in (Tier.FAST, Tier.COMPLEX):
        send(tier)

    assert [send(tier, CALL, RESULT).group for tier in (Tier.FAST, Tier.COMPLEX)] == ["small", "large"]


def test_sessions_tell_loops_apart() -> None:
    """The same words in two sessions of one key are two loops."""
    worker = Worker()
    asked = {"role": "user", "content": "Ja."}
    begun = {group: Caller("me", session=group) for group in ("large", "small")}
    for group, caller in begun.items():
        worker.begin(group, [asked], caller=caller)

    for group, caller in begun.items():
        assert worker.send([asked, CALL, RESULT], tools=TOOLS, caller=caller).decision.group == group


def test_an_image_among_the_results_moves_a_loop_upwards() -> None:
    """The deployments of its tier are blind; it is said in the reasons, and the next request stays there."""
    worker = Knowing({"small": {"refuses": BLIND}, "middle": {"refuses": BLIND}})
    asked = {"role": "user", "content": SENTIMENT}
    worker.send([asked], tools=TOOLS)
    seen = [asked, CALL, {**RESULT, "content": [IMAGE]}]

    moved = worker.send(seen, tools=TOOLS).decision
    stays = worker.send([*seen, CALL, RESULT], tools=TOOLS).decision

    assert (moved.group, moved.steps) == ("large", (Step.TOOL_LOOP, Step.LOOP_MOVED))
    assert (stays.group, stays.steps) == ("large", (Step.TOOL_LOOP,))


def test_what_nothing_holds_is_refused_unless_the_profile_says_otherwise() -> None:
    """Need and limit are named, without a word of the request; nothing is remembered of it."""
    known = {group: {"context_window": 8192} for group in ("small", "middle", "large")}
    long = "Wort " * 60_000

    refused = Knowing(known).ask(long)
    sent = Knowing(known, nothing_fits=NothingFits.LEAST_BAD).ask(long)

    assert refused.refusal is not None
    assert str(refused.needs.tokens) in refused.refusal
    assert "8192" in refused.refusal
    assert "Wort" not in refused.refusal
    assert (sent.refusal, Step.NOTHING_FITS in sent.decision.steps) == (None, True)


def test_parameters_that_are_not_accepted_are_named() -> None:
    """Only those that no deployment of the chosen group takes."""
    accepts = {"accepts": frozenset({"temperature"})}
    worker = Knowing(dict.fromkeys(("small", "middle", "large"), accepts))

    found = worker.ask(SENTIMENT, logprobs=True, temperature=0.2)

    assert found.unaccepted == ("logprobs",)
    assert explain(found)["unaccepted"] == ["logprobs"]
    assert explain(found)["needs"]["modalities"] == ["text"]


def test_what_is_continued_stays_with_the_deployment_that_keeps_it() -> None:
    """However it is classified, overloaded or not; where it is gone or no longer of the ladder, it is routed anew."""
    worker = Worker()
    caller = Caller("me", continues="large-1")

    worker.health["large"] = Health.FAILING
    continued = worker.ask(SENTIMENT, caller=caller).decision
    worker.health["large"] = Health.UNAVAILABLE
    gone = worker.ask(SENTIMENT, caller=caller).decision
    unknown = worker.ask(SENTIMENT, caller=Caller("me", continues="another")).decision

    assert (continued.group, continued.keep, continued.steps[0]) == ("large", "large-1", Step.CONTINUED)
    assert (gone.group, Step.LOOP_MOVED in gone.steps) == ("middle", True)
    assert (unknown.group, unknown.steps) == ("small", (Step.CLASSIFIED,))
