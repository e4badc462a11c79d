"""docs/tasks.md says everything about tasks, keys, problems and reasons that the code knows."""

from __future__ import annotations

import re
from pathlib import Path

from neuronode_router.tasks import EscalationReason, parse, shipped
from neuronode_router.tasks.file_schema import InputPart, OutputPart, PromptPart, TemplateFile
from neuronode_router.tasks.language import WINDOW_CHARACTERS
from neuronode_router.tasks.results import TaskResult, TradingRecommendation

PAGE = (Path(__file__).parents[2] / "docs/tasks.md").read_text()


def test_every_task_stands_in_the_table_with_its_tier() -> None:
    """The table is complete and holds nothing that is gone."""
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| `(\w+)` \|$", PAGE, re.MULTILINE))

    assert rows == {name: task.tier.value for name, task in shipped().items()}


def test_every_key_and_field_is_named() -> None:
    """An author of a template, and a reader of a result, find every word."""
    parts = (TemplateFile, InputPart, OutputPart, PromptPart)
    words = {name for part in parts for name in part.model_fields}
    words |= set(TaskResult.__dataclass_fields__) | set(TradingRecommendation.__dataclass_fields__)
    words |= {why.value for why in EscalationReason}

    assert [word for word in sorted(words) if f"`{word}`" not in PAGE] == []


def test_the_example_is_a_template() -> None:
    """What the page shows can be copied."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)

    template, problems = parse(example.encode(), "urgency.yaml")

    assert template is not None, problems


def test_the_defaults_are_the_real_ones() -> None:
    """Numbers on the page are those of the code."""
    assert f"default {TemplateFile.model_fields['temperature'].default}" in PAGE
    assert f"(default {InputPart.model_fields['max_characters'].default})" in PAGE
    assert f"first {WINDOW_CHARACTERS} characters" in PAGE
