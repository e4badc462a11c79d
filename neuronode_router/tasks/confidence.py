"""How far an answer can be trusted, from 0 to 1: `confidence(...)`.

It must not know tiers or thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from neuronode_router.tasks.answers import Checked
from neuronode_router.tasks.labels import LabelPlace, letters_of
from neuronode_router.tasks.template import BLIND_CONFIDENCE, FreeText, JsonShape, TaskTemplate


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of an answer and the natural logarithm of its probability."""

    token: str
    logprob: float


def confidence(
    task: TaskTemplate,
    checked: Checked,
    *,
    tokens: Sequence[TokenLogprob] = (),
    earlier: Sequence[Checked] = (),
) -> float:
    """Return the confidence in `checked`, an answer to `task`, 0 to 1. Never raises.

    * Not valid: 0.
    * A label, and the provider gave the answer's `tokens`: the probability of the tokens that spell the label where
      the answer means it, exp(sum of their logprobs).
    * A label without such tokens: (k + 1) / (n + 2) by Laplace's rule of succession, where n counts the valid answers
      to this request, this one included, and k those that agree with it. One valid answer: 2/3.
    * JSON or free text: 2/3. That it is valid is all that is known, and two good answers rarely agree word for word.

    It never falls when a logprob rises or an earlier answer turns from another value to this one.
    """
    if not checked.valid:
        return 0.0
    if isinstance(task.output, JsonShape | FreeText):
        return BLIND_CONFIDENCE
    label = str(checked.value)
    spelled = _label_logprob(checked.place, tokens)
    if spelled is not None:
        return math.exp(spelled)
    valid = [other.value for other in earlier if other.valid]
    return (valid.count(label) + 2) / (len(valid) + 3)


def _label_logprob(place: LabelPlace | None, tokens: Sequence[TokenLogprob]) -> float | None:
    """Return the summed logprob of the tokens that spell the label at `place`, or None where others stand there."""
    letters = [letters_of(token.token) for token in tokens]
    text = "".join(letters)
    if place is None or not text[: len(text) - place.after].endswith(place.letters):
        return None
    end = len(text) - place.after
    begin, total, position = end - len(place.letters), 0.0, 0
    for part, token in zip(letters, tokens, strict=True):
        if position < end and position + len(part) > begin:
            total += min(token.logprob, 0.0)
        position += len(part)
    return None if math.isnan(total) else total
