"""The page speaks two languages: both have every text, each is used, and closed vocabularies are covered."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from admin_api.http.problems import KINDS
from admin_api.ui.routes import STATIC
from admin_api.usage.routes import ASSUMPTIONS
from neuronode_router.access import Role
from neuronode_router.classifier import Layer
from neuronode_router.classifier.classification import KINDS as DETAILS
from neuronode_router.control.checks import DEAD_MAPPING
from neuronode_router.control.manager import FILES, FILES_CHANGED
from neuronode_router.control.policies import POLICY_ACTOR, RELEASED
from neuronode_router.control.policy_file import POLICY_FILE
from neuronode_router.control.store import MOVED
from neuronode_router.control.told import CAP, HOLD, POLICY, TRIED
from neuronode_router.domain.audit import Action
from neuronode_router.domain.decisions import Reason, Step
from neuronode_router.domain.names import Tier
from neuronode_router.domain.receipts import AckState
from neuronode_router.domain.rules import OnOverload, Stickiness
from neuronode_router.policy.engine import Level
from neuronode_router.profiles.problems import Code
from neuronode_router.proof.gate import GateMode
from neuronode_router.proof.matrix import State
from neuronode_router.proof.probes import ProbeReason as Found
from neuronode_router.rollouts.course import Phase
from neuronode_router.rollouts.guards import GuardVerdict, Limit, Metric
from neuronode_router.routing.fit import Misfit
from neuronode_router.routing.overload import Health, HealthReason
from neuronode_router.usage.finished import RequestOutcome
from neuronode_router.usage.prices import Basis
from neuronode_router.usage.targets import Violation

ENTRY = re.compile(r'"([a-z_0-9]+(?:\.[a-z_0-9]+)+)": "((?:[^"\\]|\\.)*)"')
PLACE = re.compile(r"\{(\w+)\}")
TEXTS = {
    language: dict(ENTRY.findall((STATIC / f"js/texts_{language}.js").read_text()))
    for language in ("en", "de")
}
CODE = "".join(
    file.read_text() for file in (STATIC / "js").rglob("*.js") if not file.name.startswith("texts_")
)
SOURCES = [
    file
    for room in ("neuronode_router", "admin_api")
    for file in (Path(__file__).parents[2] / room).rglob("*.py")
    if "cli" not in file.parts
]


MADE = {"Problem": 0, "problem": 0, "at": 1}
"""By what a `Problem` is made, and at which place of the arguments its code stands."""


def written_codes() -> Iterator[str]:
    """Yield the code of every `Problem` that is written out where it is made."""
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                place = MADE.get(getattr(node.func, "id", getattr(node.func, "attr", "")), len(node.args))
                codes = [key.value for key in node.keywords if key.arg == "code"] or node.args[place:]
                yield from (str(code.value) for code in codes[:1] if isinstance(code, ast.Constant))


VOCABULARIES = {
    "ack": get_args(AckState),
    "action": get_args(Action),
    "actor": {actor.name.replace(" ", "_") for actor in (FILES, POLICY_ACTOR, POLICY_FILE)},
    "basis": Basis,
    "because": {
        *(said.replace(" ", "_") for said in (MOVED, FILES_CHANGED, RELEASED)),
        *(f"rollout_{act}" for act in ("start", "promote", "abort", "pause", "resume")),
    },
    "cell": State,
    "deed": {name.removeprefix("@") for name in (TRIED, POLICY, HOLD, CAP)},
    "gate": get_args(GateMode),
    "health": Health,
    "kind": DETAILS,
    "layer": Layer,
    "misfit": Misfit,
    "outcome": RequestOutcome,
    "overload": OnOverload,
    "probe": Found,
    "problem": {*KINDS, *Code, *written_codes(), DEAD_MAPPING, *set(State) - {State.GREEN}},
    "residency": ("outside", "partly"),
    "role": Role,
    "policy_level": Level,
    "rollout_limit": Limit,
    "rollout_metric": Metric,
    "rollout_phase": Phase,
    "rollout_verdict": GuardVerdict,
    "step": [*Reason, *Step],
    "sticky": Stickiness,
    "tier": Tier,
    "violation": Violation,
    "why": HealthReason,
}


def test_both_languages_have_the_same_texts() -> None:
    """A text that exists in one language exists in the other, with the same places to fill in."""
    english, german = TEXTS["en"], TEXTS["de"]

    assert english.keys() == german.keys()
    assert {
        key for key in english if sorted(PLACE.findall(english[key])) != sorted(PLACE.findall(german[key]))
    } == set()


def test_every_text_that_is_asked_for_exists() -> None:
    """A key in the code without a text would be shown to people as it is."""
    asked = set(re.findall(r'\bt\([^`"]*"([a-z_]+\.[a-z_.]+)"', CODE))

    assert len(asked) > 100
    assert asked - TEXTS["en"].keys() == set()


COUNTS = re.compile(r"\{(?:count|all|requests|tasks|groups|wanted|held|minutes)\} (?!\{)[A-Za-z]\w+")
"""A count and a word after it that stays the same, whatever the count is."""
SAME_FOR_ONE = {
    "chain.broken", "cost.unpriced.count", "deed.more", "routing.window", "routing.window_alone", "workers.late",
    "now.workers.of", "charts.requests.note", "rollout.held", "routing.show_all", "routing.tokens",
}  # fmt: skip


@pytest.mark.parametrize("language", TEXTS)
def test_what_is_counted_has_a_plural(language: str) -> None:
    """`1 groups` is no English, `1 Gruppen` no German."""
    stiff = {key for key, text in TEXTS[language].items() if COUNTS.search(text) and "|" not in text}

    assert stiff - SAME_FOR_ONE == set()


def test_names_of_tasks_are_nobodys_words() -> None:
    """A client sends them, and operators add their own: they are the same in every language, and on every screen."""
    assert not any(key.startswith("task.") for key in TEXTS["en"])
    assert 'word("task"' not in CODE


def test_no_text_is_left_over() -> None:
    """Each key stands in the code, or belongs to a group whose keys are put together there."""
    composed = set(re.findall(r'(?:word|label)\("(\w+)"|`(\w+)\.\$\{', CODE))
    groups = {name for pair in composed for name in pair if name} | {"step"}

    left_over = {key for key in TEXTS["en"] if f'"{key}"' not in CODE and key.split(".")[0] not in groups}

    assert left_over == set()


@pytest.mark.parametrize("group", VOCABULARIES)
def test_every_word_of_the_api_has_a_text(group: str) -> None:
    """A new state or reason of the API needs words in both languages."""
    words = {f"{group}.{value}" for value in VOCABULARIES[group]}

    assert words - TEXTS["de"].keys() == set()


def test_every_code_that_is_written_out_is_found() -> None:
    """The table above would say nothing if the search found nothing."""
    assert {"background_stalled", "part_off", "access_invalid", "too_many_steps"} <= set(written_codes())


def test_the_assumptions_of_a_forecast_are_said_in_the_pages_words() -> None:
    """The page has as many sentences as the API, and in English the same ones, but for names of fields."""
    said = [text for key, text in TEXTS["en"].items() if key.startswith("assumed.")]

    assert len(said) == len(ASSUMPTIONS)
    assert [text.split()[0] for text in said] == [text.split()[0] for text in ASSUMPTIONS]


def test_the_titles_of_problems_are_those_of_the_api() -> None:
    """Who reads the page and who reads the API's answers read the same."""
    said = {code: TEXTS["en"][f"problem.{code}"] for code in KINDS}

    assert said == {code: kind.title for code, kind in KINDS.items()}
