"""Templates: the shipped ones are sound, a new one needs no code, and a wrong one is told everything at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.names import Tier
from neuronode_router.errors import TemplatesInvalid
from neuronode_router.tasks import Language, catalogue, check, load, parse, render, shipped
from neuronode_router.tasks.template import JsonShape, Labels

NEW_TASK = """
name: urgency
description: "How soon a message needs an answer."
tier: fast
max_tokens: 8
confidence_threshold: 0.5
inputs:
  mail: {kind: text, max_characters: 500}
output:
  labels: ["now", "today", "later"]
prompts:
  de: {system: "Eines von: {labels}.", user: "{mail} Wie eilig?", retry: "Nur {labels}."}
  en: {system: "One of: {labels}.", user: "{mail} How urgent?", retry: "Only {labels}."}
"""


def codes(text: str, file: str = "urgency.yaml") -> list[tuple[str, str]]:
    """Code and path of every problem of a template."""
    template, problems = parse(text.encode(), file)
    assert (template is None) == bool(problems)
    return [(problem.code, problem.path) for problem in problems]


def test_the_shipped_tasks() -> None:
    """Their tiers and labels are what callers were promised; all have both languages and a low temperature."""
    tasks = shipped()

    tiers = {name: task.tier for name, task in tasks.items()}
    assert tiers["sentiment"] is tiers["classify"] is Tier.FAST
    assert tiers["analysis"] is Tier.COMPLEX
    assert set(tiers) == {"sentiment", "classify", "chat", "analysis"}
    assert tasks["sentiment"].output == Labels(("BULLISH", "BEARISH", "NEUTRAL"))
    assert isinstance(tasks["analysis"].output, JsonShape)
    assert {task.temperature for task in tasks.values()} == {0.1}
    assert all(set(task.prompts) == set(Language) for task in tasks.values())


def test_a_new_task_needs_no_code(tmp_path: Path) -> None:
    """A file is enough to render, check and route a task nobody has thought of."""
    (tmp_path / "urgency.yaml").write_text(NEW_TASK)

    task = load(tmp_path)["urgency"]

    messages = render(task, {"mail": "Der Server steht und nichts geht mehr."})
    assert messages[0]["content"] == "Eines von: now, today, later."
    assert check(task, "Now!", {"mail": "x"}).value == "now"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("tier: fast", "tier: swift", ("bad_value", "tier")),
        ("tier: fast", "tier: fast\ncolour: red", ("unknown_key", "colour")),
        ("max_tokens: 8\n", "", ("missing_key", "max_tokens")),
        ("max_tokens: 8", "max_tokens: 0", ("bad_value", "max_tokens")),
        ("max_tokens: 8", "max_tokens: yes", ("bad_value", "max_tokens")),
        ("name: urgency", "name: other", ("wrong_name", "name")),
        ('"now", "today", "later"', "yes, no", ("bad_value", "output.labels[0]")),
        ('"now", "today", "later"', '"now", "Now!"', ("bad_value", "output.labels")),
        ('"now", "today", "later"', '"now", "..."', ("bad_value", "output.labels")),
        ('labels: ["now", "today", "later"]', "labels_from: mail", ("bad_value", "output.labels_from")),
        ("{mail} How", "{letter} How", ("bad_value", "prompts.en.user")),
        ("{mail} How", "How", ("bad_value", "prompts.en.user")),
        ("Only {labels}.", "Only {mail}.", ("bad_value", "prompts.en.retry")),
        ("max_characters: 500", "verbatim: true", ("bad_value", "prompts.de.user")),
        ('output:\n  labels: ["now", "today", "later"]\n', "", ("bad_value", "prompts.de.system")),
        ("fast", "&a fast", ("anchor", "tier")),
        ("fast", "!!python/object/apply:os.getcwd []", ("tag", "tier")),
        ("tier: fast", "tier: fast\ntier: medium", ("duplicate_key", "tier")),
        ("tier: fast", "tier: [", ("syntax", "")),
        ("tier: fast", "tier: " + "[" * 50 + "]" * 50, ("too_deep", "tier[0][0]")),
        ("tier: fast", "tier: " + "x" * 70_000, ("too_large", "")),
        ("tier: fast", "tier: 2026-99-99", ("syntax", "tier")),
    ],
)
def test_a_wrong_template_is_refused_where_it_is_wrong(old: str, new: str, expected: tuple[str, str]) -> None:
    """Each mistake has a code and a path."""
    assert old in NEW_TASK

    assert expected in codes(NEW_TASK.replace(old, new))


@pytest.mark.parametrize(
    "schema",
    [
        "{type: array}",
        "{type: nonsense}",
        "{type: object, properties: {a: {pattern: '(a+)+$'}}}",
        "{type: object, properties: {a: {type: array, uniqueItems: true}}}",
        "{type: object, properties: {a: {$ref: 'file:///etc/hostname'}}}",
        "{type: object, properties: {a: {$ref: '#/$defs/missing'}}}",
        "{type: object, $defs: {b: {anyOf: [{patternProperties: {a: true}}]}}}",
    ],
)
def test_a_schema_that_is_wrong_reaches_out_or_costs_too_much_is_refused(schema: str) -> None:
    """Nothing is fetched, and checking stays cheap whatever is answered."""
    shaped = NEW_TASK.replace('labels: ["now", "today", "later"]', f"json_schema: {schema}")
    shaped = shaped.replace("{labels}", "JSON")

    assert codes(shaped) == [("bad_value", "output.json_schema")]


def test_a_property_may_be_called_like_a_costly_keyword() -> None:
    """`pattern` is a fair name for what an analyst sees in a chart."""
    shaped = NEW_TASK.replace(
        'labels: ["now", "today", "later"]',
        "json_schema: {type: object, properties: {pattern: {$ref: '#/$defs/w'}}, $defs: {w: {enum: [a]}}}",
    )

    assert codes(shaped.replace("{labels}", "JSON")) == []


def test_a_threshold_that_no_unlabelled_answer_can_reach_is_refused() -> None:
    """Otherwise every single request would go one tier up."""
    free = NEW_TASK.replace('output:\n  labels: ["now", "today", "later"]\n', "").replace("{labels}", "words")

    assert codes(free) == []
    assert codes(free.replace("threshold: 0.5", "threshold: 0.7")) == [("bad_value", "confidence_threshold")]


def test_all_problems_of_all_files_come_at_once_with_their_lines(tmp_path: Path) -> None:
    """Nobody fixes a template one error at a time."""
    (tmp_path / "urgency.yaml").write_text(NEW_TASK.replace("fast", "swift").replace("max_tokens: 8", "x: 8"))
    (tmp_path / "broken.yaml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(TemplatesInvalid) as caught:
        load(tmp_path)

    found = {(p.file, p.code, p.line) for p in caught.value.problems}
    assert {("urgency.yaml", "bad_value", 4), ("urgency.yaml", "unknown_key", 5)} <= found
    assert ("urgency.yaml", "missing_key", 2) in found
    assert any(file == "broken.yaml" for file, _, _ in found)
    assert all(problem.fix for problem in caught.value.problems)


def test_a_folder_without_templates_is_a_problem(tmp_path: Path) -> None:
    """An empty folder is a mistake of the path, not a proxy without tasks."""
    with pytest.raises(TemplatesInvalid, match="no template"):
        load(tmp_path)


def test_too_many_templates_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them goes missing unsaid: the first that is too many is named."""
    monkeypatch.setattr(catalogue, "MAX_FILES", 2)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.yaml").write_text(NEW_TASK.replace("name: urgency", f"name: {name}"))

    with pytest.raises(TemplatesInvalid) as caught:
        load(tmp_path)

    assert [(problem.code, problem.file) for problem in caught.value.problems] == [
        ("too_many_files", "c.yaml")
    ]


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_make_the_loader_fall(raw: bytes) -> None:
    """Whatever a file holds, the answer is a template or problems."""
    template, problems = parse(raw, "any.yaml")

    assert (template is None) == bool(problems)
