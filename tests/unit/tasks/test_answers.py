"""Answers: labels in every dress, JSON wherever it stands, and nothing that costs or leaks."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
import referencing.exceptions
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.tasks import check, parse, shipped
from neuronode_router.tasks.json_answers import MAX_STARTS, find_object
from neuronode_router.tasks.labels import MAX_ANSWER_CHARACTERS
from neuronode_router.tasks.results import Action, TradingRecommendation

SENTIMENT, CLASSIFY = shipped()["sentiment"], shipped()["classify"]
CHAT, ANALYSIS = shipped()["chat"], shipped()["analysis"]
ADVICE: dict[str, Any] = {
    "action": "BUY",
    "conviction": 0.7,
    "summary": "Kaufen",
    "reasoning": "Die Daten sprechen {dafür}.",
    "time_horizon": "days",
    "risks": ["Zinsen"],
    "entry_price": 100,
    "stop_loss": None,
}


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("BULLISH", "BULLISH"),
        (" bullish.\n", "BULLISH"),
        ("**Bearish**", "BEARISH"),
        ('"NEUTRAL"', "NEUTRAL"),
        ("Die Antwort ist: BULLISH", "BULLISH"),
        ("Sentiment: bearish, weil die Zinsen steigen", "BEARISH"),
        ("The sentiment is bullish", "BULLISH"),
        ("BULLISH. Although some are bearish, prices rise.", "BULLISH"),
        ("BULLISH - weil nicht alle bearish sind", "BULLISH"),
        ("NEUTRAL (weder bullish noch bearish)", "NEUTRAL"),
        ("Weder bullish noch bearish: NEUTRAL", "NEUTRAL"),
        ("The options (BULLISH) were weighed; it is bearish", None),
        ("Category: Bearish\nReason: not bullish", "BEARISH"),
        ("<think>It may be bullish or bearish.</think>\nNEUTRAL", "NEUTRAL"),
        ("\uff22\uff35\uff2c\uff2c\uff29\uff33\uff28", "BULLISH"),
        ("BULLISH\nBULLISH", "BULLISH"),
        ("BULLISH or BEARISH", None),
        ("BULLISH\nBEARISH", None),
        ("not bullish", None),
        ("Das ist nicht bullish", None),
        ("weder noch", None),
        ("superbullish", None),
        ("I cannot say.", None),
        ("BULLISHBEARISH", None),
    ],
)
def test_a_label_is_found_in_every_dress_or_not_at_all(answer: str, label: str | None) -> None:
    """Case, punctuation and lead-ins do not matter; two labels or a negation are no answer."""
    checked = check(SENTIMENT, answer, {"text": "x"})

    assert (checked.value, checked.valid) == (label, label is not None)
    assert checked.problem == ("" if label else "no_label")


@pytest.mark.parametrize(
    ("categories", "answer", "label"),
    [
        (["high", "high risk"], "The text is high risk", "high risk"),
        (["risk", "high risk"], "The text is high risk", "high risk"),
        (["C", "C++", "C#"], "This is c++", "C++"),
        (["spam", "not spam"], "It is not spam", "not spam"),
        (["yes", "no"], "The answer is no", "no"),
        (["Aktien", "Währungen"], "WÄHRUNGEN!", "Währungen"),
        (["risk-on", "risk-off"], "risk on", "risk-on"),
        (["Art", "Chart"], "Chart", "Chart"),
        (["a.b (c)", "d|e"], "Answer: d e", "d|e"),
    ],
)
def test_categories_are_told_apart(categories: list[str], answer: str, label: str) -> None:
    """Longer labels win over shorter ones inside them, and the caller's spelling comes back."""
    assert check(CLASSIFY, answer, {"text": "x", "categories": categories}).value == label


@given(st.lists(st.from_regex(r"[A-Za-z]{1,8}( [a-z]{1,8})?", fullmatch=True), min_size=2, max_size=8))
def test_every_category_answered_plainly_comes_back(words: list[str]) -> None:
    """A label said in full, in any case, with a full stop, is always understood."""
    categories = list({word.casefold(): word for word in words}.values())

    for category in categories:
        checked = check(CLASSIFY, f" {category.upper()}. ", {"text": "x", "categories": categories})
        assert checked.value == category


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps(ADVICE),
        f"Here it is:\n```json\n{json.dumps(ADVICE)}\n```\nGood luck.",
        f"```\n{json.dumps(ADVICE)}\n```",
        f"```json\n{json.dumps(ADVICE)}",
        f"Sicher {{gern}}: {json.dumps(ADVICE)} Ende",
        f'{{"action": "MAYBE"}} no: {json.dumps(ADVICE)}',
        f"<think>{{}}</think>{json.dumps(ADVICE, indent=2)}",
    ],
)
def test_an_object_is_found_wherever_it_stands(answer: str) -> None:
    """Fences, talk and thoughts around it do not matter, and it becomes a typed recommendation."""
    checked = check(ANALYSIS, answer, {"market_data": {}})

    assert checked.value == ADVICE
    recommendation = TradingRecommendation.from_value(ADVICE)
    assert recommendation.action is Action.BUY
    assert (recommendation.entry_price, recommendation.stop_loss, recommendation.take_profit) == (
        100.0,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", "empty"),
        ("<think>endless", "unfinished"),
        (f"<think>A naive answer is {json.dumps(ADVICE)} but", "unfinished"),
        (f"{json.dumps(ADVICE)} <think>but", "unfinished"),
        ("I would buy.", "no_json"),
        ('{"action": ', "no_json"),
        (json.dumps([ADVICE["action"]]), "no_json"),
        (json.dumps({**ADVICE, "action": "CANARY"}), "schema:properties.action.enum"),
        (json.dumps({**ADVICE, "CANARY": 1}), "schema:additionalProperties"),
        (json.dumps({**ADVICE, "conviction": 7}), "schema:properties.conviction.maximum"),
        (json.dumps({**ADVICE, "risks": ["CANARY", 7]}), "schema:properties.risks.items.type"),
        (json.dumps(ADVICE).replace("0.7", "NaN"), "no_json"),
        (json.dumps(ADVICE).replace("0.7", "1e999"), "no_json"),
        (json.dumps({**ADVICE, "entry_price": 10**400}), "no_json"),
        (json.dumps({**ADVICE, "summary": "half a \ud83d"}), "no_json"),
        (json.dumps(ADVICE).replace('"action"', '"action": "SELL", "action"'), "no_json"),
        ("{} " * MAX_STARTS + json.dumps(ADVICE), "schema:required"),
        ("x" * (MAX_ANSWER_CHARACTERS + 1), "too_long"),
    ],
)
def test_an_object_that_does_not_fit_says_where_and_never_what(answer: str, problem: str) -> None:
    """Problems name places of the schema; they may be logged."""
    checked = check(ANALYSIS, answer, {"market_data": {}})

    assert (checked.value, checked.valid, checked.problem) == (None, False, problem)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("<think>hm</think> Hallo ", "Hallo"),
        ("\n<think>\nhm\n</think>\n\n<think>\n</think>\nHallo", "Hallo"),
        ("hm\n</think>\n\nHallo", "Hallo"),
        ("hm.</think>\nHallo", "Hallo"),
        ("Before it answers, a model writes </think>", "Before it answers, a model writes </think>"),
        ("Between <think> and </think> it thinks.", "Between <think> and </think> it thinks."),
        (
            "It writes:\n<think>\nhm\n</think>\nand answers.",
            "It writes:\n<think>\nhm\n</think>\nand answers.",
        ),
    ],
)
def test_a_free_answer_is_any_text_after_the_thoughts(answer: str, text: str) -> None:
    """Chat takes what comes, and may speak of the tags."""
    assert check(CHAT, answer, {"message": "x"}).value == text


@pytest.mark.parametrize(
    ("answer", "problem"),
    [(" \n", "empty"), ("<think>hm</think>", "empty"), ("<think>The user asks", "unfinished")],
)
def test_thoughts_alone_are_no_answer(answer: str, problem: str) -> None:
    """Whether they ended or not."""
    assert check(CHAT, answer, {"message": "x"}).problem == problem


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("<think>\nFirst it looks bullish, but", "unfinished"),
        ("<think>hm</think><think>rather bullish", "unfinished"),
        ("hm</think>", "empty"),
    ],
)
def test_no_label_is_taken_from_a_thought(answer: str, problem: str) -> None:
    """A first impression is no answer."""
    assert check(SENTIMENT, answer, {"text": "x"}).problem == problem


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("", None),
        ("<think>Node", None),
        ("The category is Node", None),
        ("The category is Java", None),
        ("The category is Node.js", "Node.js"),
        ("Node. The text is about", "Node"),
    ],
)
def test_what_a_limit_cut_off_says_so(answer: str, value: str | None) -> None:
    """A label at its end may be the beginning of another; one before that counts."""
    inputs = {"text": "x", "categories": ["Node", "Node.js", "Java", "JavaScript"]}

    checked = check(CLASSIFY, answer, inputs, cut=True)

    assert (checked.value, checked.problem) == (value, "" if value else "cut")


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "answer",
    [
        "{" * 65_536,
        "[{" * 30_000,
        '{"a":' * 13_000,
        "```" * 20_000,
        "bullish " * 8000,
        "not " * 16_000,
        " - " * 20_000,
        "(" * 65_536,
    ],
    ids=["braces", "nested", "objects", "fences", "labels", "negations", "dashes", "brackets"],
)
@pytest.mark.parametrize(("task", "inputs"), [(SENTIMENT, {"text": "x"}), (ANALYSIS, {"market_data": {}})])
def test_hostile_answers_are_cheap(task: Any, inputs: dict[str, Any], answer: str) -> None:
    """The longest answers that are read cost milliseconds; with backtracking they would cost minutes."""
    checked = check(task, answer, inputs)

    assert checked.problem != "too_long"


def test_a_schema_that_never_ends_ends() -> None:
    """A definition that leads to itself is followed only so far."""
    raw = b"""
name: loop
description: "x"
tier: fast
max_tokens: 8
confidence_threshold: 0.5
inputs: {text: {}}
output:
  json_schema: {type: object, $ref: "#/$defs/a", $defs: {a: {$ref: "#/$defs/a"}}}
prompts:
  de: {system: "x", user: "{text}", retry: "x"}
  en: {system: "x", user: "{text}", retry: "x"}
"""
    task, problems = parse(raw, "loop.yaml")
    assert task is not None, problems

    assert check(task, "{}", {"text": "x"}).problem == "too_deep"


def test_a_schema_that_slipped_past_the_loader_still_fetches_nothing() -> None:
    """The second bolt: even asked to, the validator opens no connection."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        schema = {"type": "object", "$ref": f"http://127.0.0.1:{elsewhere.getsockname()[1]}/schema"}

        with pytest.raises(referencing.exceptions.Unresolvable):
            find_object("{}", schema)

        with pytest.raises(BlockingIOError):
            elsewhere.accept()


@given(st.text(max_size=300))
def test_no_answer_makes_a_check_fall(answer: str) -> None:
    """Whatever a model says, the result is valid with a value or invalid with a problem."""
    for task, inputs in (
        (SENTIMENT, {"text": "x"}),
        (CLASSIFY, {"text": "x", "categories": ["a", "b c"]}),
        (ANALYSIS, {"market_data": {}}),
        (CHAT, {"message": "x"}),
    ):
        checked = check(task, answer, inputs)
        assert checked.valid == (checked.value is not None) == (not checked.problem)
