"""What is said after thinking aloud, as reasoning models do between `<think>` and `</think>`.

It must not know tasks.
"""

from __future__ import annotations

import re

THOUGHTS_BEGIN, THOUGHTS_END = "<think>", "</think>"
_END_OF_LINE = re.compile(rf"^[^\S\n]*{THOUGHTS_END}|{THOUGHTS_END}[^\S\n]*\n", re.MULTILINE)


def spoken(answer: str, *, prose: bool) -> str | None:
    """Return what an answer says when its thoughts have ended, None where they have not. Never raises.

    Some models leave out the tag that opens. Prose may speak of the tags: there thoughts are what it begins with, and
    a tag that ends what none began has the beginning or the end of a line.
    """
    if prose:
        return _after_leading(answer.strip())
    said = answer.rpartition(THOUGHTS_END)[2]
    return None if THOUGHTS_BEGIN in said else said.strip()


def _after_leading(answer: str) -> str | None:
    end = _END_OF_LINE.search(answer)
    if end is not None and THOUGHTS_BEGIN not in answer[: end.start()]:
        return answer[end.end() :].lstrip()
    while answer.startswith(THOUGHTS_BEGIN):
        _, ended, answer = answer.partition(THOUGHTS_END)
        if not ended:
            return None
        answer = answer.lstrip()
    return answer
