"""Every behaviour of the multi-model plan in one place, as its pages name it; the rooms' own tests go further.

From the text to the group, through the shipped classifier and the router of a worker, with one group for each tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import pytest

from neuronode_router.auto.router import AutoRouter, Caller, Mode, Routed
from neuronode_router.classifier import Classifier, Task, classify, lexicon, shipped
from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import TASK_ALIASES, Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.routing.admit import admit
from neuronode_router.routing.fallback_chain import DeploymentStatus
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.overload import NEW, Health, Load, judge
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.settings import Settings
from neuronode_router.tasks import shipped as shipped_tasks
from neuronode_router.tasks.results import ModelResponse, RoutingDecision, RoutingMetrics
from neuronode_router.tasks.template import Labels

FAST, MEDIUM, COMPLEX = Tier.FAST, Tier.MEDIUM, Tier.COMPLEX
GROUPS = {FAST: "8b", MEDIUM: "13b", COMPLEX: "70b"}
STRATEGY = "Entwickle eine Handelsstrategie für den DAX."


def route(
    text: str, *, name: str = "auto", health: Mapping[str, Health] | None = None, mode: Mode = "on"
) -> Routed:
    """Return how a request is routed while the groups stand as `health` says; those not named are well."""
    tiers = {tier: (group,) for tier, group in GROUPS.items()}
    profile = Profile("balanced", "", "low", "good", dict.fromkeys(TASK_ALIASES, "13b"), tiers)
    state = ControlState(1, "balanced", ProfileSet({"balanced": profile}), committed_at=0.0)
    snapshot = build_snapshot(state, HostFacts(frozenset(GROUPS.values())))
    stand = {
        group: (
            DeploymentStatus(
                Deployment(f"{group}-1", group, available=found is not Health.UNAVAILABLE), found
            ),
        )
        for group, found in (dict.fromkeys(GROUPS.values(), Health.OK) | dict(health or {})).items()
    }
    router = AutoRouter(classifier=shipped(), statuses=lambda: stand, mode=mode)
    decision = admit(snapshot, name, wanted_profile=None, may_override=lambda _: True)
    body = {"messages": [{"role": "user", "content": text}]}
    return router.route(decision, body, snapshot=snapshot, caller=Caller("me"))


class TestClassifier:
    """Page 1.2: eight types with a tier each, indicators that move it by one, lengths where nothing else tells."""

    @pytest.mark.parametrize(
        ("task", "tier", "german", "english"),
        [
            (
                Task.SENTIMENT,
                FAST,
                "Welche Stimmung hat dieser Text: bullish oder bearish?",
                "What is the sentiment of this headline, bullish or bearish?",
            ),
            (
                Task.CLASSIFICATION,
                FAST,
                "Klassifiziere diese Anfrage als Beschwerde oder Bestellung.",
                "Categorize this ticket as billing, technical or other.",
            ),
            (
                Task.EXTRACTION,
                FAST,
                "Extrahiere alle Beträge aus der Rechnung.",
                "Extract all names and dates from the text.",
            ),
            (Task.SUMMARY, MEDIUM, "Fasse den Bericht zusammen.", "Summarize the report."),
            (Task.RAG_QUERY, MEDIUM, "Wie funktioniert ein ETF?", "What is an exchange-traded fund?"),
            (
                Task.TRADING_ANALYSIS,
                COMPLEX,
                "Analysiere die Aktie von Siemens und gib eine Prognose.",
                "Give me a technical analysis of the TSLA stock with a price forecast.",
            ),
            (Task.STRATEGY, COMPLEX, STRATEGY, "Develop a trading strategy for gold futures."),
            (Task.CHAT, FAST, "Hallo, wie geht es dir?", "Hi, how are you today?"),
        ],
    )
    def test_each_type_in_german_and_english_reaches_its_tier(
        self, task: Task, tier: Tier, german: str, english: str
    ) -> None:
        """Type, tier and group, in both languages."""
        for text in (german, english):
            routed = route(text)

            assert routed.classification is not None
            assert (routed.classification.task, routed.decision.tier) == (task, tier), text
            assert (routed.decision.group, routed.decision.steps) == (GROUPS[tier], (Step.CLASSIFIED,))

    @pytest.mark.parametrize(
        "harder",
        [
            "Erkläre es detailliert.",
            "Antworte ausführlich.",
            "Gehe step-by-step vor.",
            "Begründe deine Antwort.",
            "Vergleiche es mit Aktien.",
            "Nenne auch die Trade-offs.",
            "Welche Risiken gibt es?",
            "Denke an mehrere Szenarien.",
        ],
    )
    def test_each_high_indicator_raises_the_tier(self, harder: str) -> None:
        """A question of the medium tier becomes one of the complex tier."""
        assert classify("Was ist Inflation?").tier is MEDIUM
        assert classify(f"Was ist Inflation? {harder}").tier is COMPLEX

    @pytest.mark.parametrize(
        "easier",
        [
            "Antworte kurz.",
            "Ich brauche es schnell.",
            "Erkläre es einfach.",
            "Nur ein Satz.",
            "Ja/nein genügt.",
            "Ein One-liner genügt.",
        ],
    )
    def test_each_low_indicator_lowers_the_tier(self, easier: str) -> None:
        """A question of the medium tier becomes one of the fast tier."""
        assert classify(f"Was ist Inflation? {easier}").tier is FAST

    @pytest.mark.parametrize(("text", "moved"), [("ausführlich", COMPLEX), ("schnell", MEDIUM)])
    def test_the_ends_of_the_ladder_hold(self, text: str, moved: Tier) -> None:
        """Nothing rises above complex; from complex one step down is medium."""
        assert classify(f"Entwickle {text} eine Handelsstrategie.").tier is moved

    @pytest.mark.parametrize(
        ("length", "task", "tier"),
        [
            (5, Task.CHAT, FAST),
            (49, Task.CHAT, FAST),
            (50, Task.RAG_QUERY, MEDIUM),
            (500, Task.RAG_QUERY, MEDIUM),
            (501, Task.TRADING_ANALYSIS, COMPLEX),
        ],
    )
    def test_lengths_decide_where_nothing_else_tells(self, length: int, task: Task, tier: Tier) -> None:
        """Below 50 chat, above 500 analysis, else a question: with confidences that say how little that is."""
        said = Classifier(lexicon.shipped(), None).classify(("xq zv " * 100)[: length - 1] + "x")

        assert (said.task, said.tier) == (task, tier)
        assert not said.confident

    def test_better_than_the_plan_no_evidence_is_not_silently_cheap(self) -> None:
        """Where the plan sends a short riddle to the smallest model, `auto` goes to the profile's uncertain tier."""
        routed = route("xq zv")

        assert (routed.decision.tier, routed.decision.steps) == (MEDIUM, (Step.UNCERTAIN,))


class TestRegistryAndFallback:
    """Pages 1.1 and 2.1: the best model of a tier, else the next lower one, and `was_fallback` says so."""

    @pytest.mark.parametrize(
        ("gone", "group"),
        [((), "70b"), (("70b",), "13b"), (("70b", "13b"), "8b")],
    )
    @pytest.mark.parametrize("how", [Health.UNAVAILABLE, Health.SLOW])
    def test_the_next_lower_tier_answers(self, gone: tuple[str, ...], group: str, how: Health) -> None:
        """What is not there, or overloaded (page 5.1), is passed over downwards."""
        routed = route(STRATEGY, health=dict.fromkeys(gone, how))

        assert routed.decision.group == group
        assert (routed.decision.tier is not routed.decision.wanted) is bool(gone)
        assert (routed.decision.wanted, routed.decision.tier) == (COMPLEX, Tier(routed.decision.tier or ""))

    @pytest.mark.parametrize("tier", Tier)
    def test_a_tier_can_be_forced(self, tier: Tier) -> None:
        """`force_tier` stands instead of the classification."""
        routed = route(STRATEGY, name=f"auto:{tier}")

        assert (routed.decision.group, routed.decision.steps) == (GROUPS[tier], (Step.FORCED_TIER,))
        assert routed.classification is None

    def test_automatic_routing_can_be_switched_off(self) -> None:
        """`enable_auto_routing` off: nothing is classified."""
        assert route(STRATEGY, mode="off").classification is None

    def test_the_settings_are_the_plans(self) -> None:
        """Both switches are on by default, and each tier's name can be set."""
        settings = Settings.load({"NEURONODE_MODEL_COMPLEX": "llama3.1:70b"})

        assert (settings.enable_auto_routing, settings.routing_log_enabled) == (True, True)
        assert (settings.model_fast, settings.model_medium, settings.model_complex) == (
            None,
            None,
            "llama3.1:70b",
        )


class TestOverload:
    """Page 5.1: overloaded is what recently took more than twice as long as expected."""

    @pytest.mark.parametrize(("latency", "health"), [(399, Health.OK), (401, Health.SLOW)])
    def test_twice_the_expected_latency_is_the_limit(self, latency: float, health: Health) -> None:
        """Over the last ten answers, as in the plan; their median instead of their mean."""
        deployment = Deployment("8b-1", "8b", expected_ms=200)

        assert judge(NEW, deployment, Load(latency, samples=10), now=1.0).health is health

    def test_without_samples_nothing_is_overloaded(self) -> None:
        """As in the plan: no latencies, no verdict."""
        assert judge(NEW, Deployment("8b-1", "8b", expected_ms=200), Load(), now=1.0).health is Health.OK


class TestAnswers:
    """Pages 2.1, 3.1 and 4.1: the fields that callers and dashboards read."""

    def test_responses_and_decisions_have_the_plans_fields(self) -> None:
        """`ModelResponse` and `RoutingDecision`."""
        assert {field.name for field in fields(RoutingDecision)} == {
            *("selected_model", "original_tier", "was_fallback", "classification", "routing_time_ms"),
        }
        assert {field.name for field in fields(ModelResponse)} >= {
            *("content", "model_used", "tier_used", "latency_ms", "tokens_generated", "routing_decision"),
        }

    def test_metrics_have_the_plans_fields(self) -> None:
        """`RoutingMetrics.get_stats`."""
        assert {field.name for field in fields(RoutingMetrics)} >= {
            *("total_requests", "fallback_rate", "requests_per_model", "requests_per_tier"),
            *("avg_latency_per_model", "p95_latency_per_model"),
        }

    def test_sentiment_has_the_plans_labels_tier_and_temperature(self) -> None:
        """BULLISH, BEARISH or NEUTRAL, from the fast tier, at 0.1; an analysis is always complex."""
        sentiment, analysis = shipped_tasks()["sentiment"], shipped_tasks()["analysis"]

        assert isinstance(sentiment.output, Labels)
        assert sentiment.output.labels == ("BULLISH", "BEARISH", "NEUTRAL")
        assert (sentiment.tier, sentiment.temperature, analysis.tier) == (FAST, 0.1, COMPLEX)
