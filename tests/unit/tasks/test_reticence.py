"""What is remembered of groups that refuse logprobs."""

from __future__ import annotations

from neuronode_router.tasks.reticence import REMEMBERED_SECONDS, Reticence


def test_a_refusal_is_expected_of_the_group_that_answers_for_a_time() -> None:
    """Not of another one behind the same name, and not for good: its deployment may have become another."""
    now = 0.0
    reticence = Reticence(lambda: now)
    seen = [reticence.expected("auto:fast")]

    reticence.refused("gem")
    for group in ("other", "gem"):
        reticence.answered("auto:fast", group)
        seen.append(reticence.expected("auto:fast"))
    now = REMEMBERED_SECONDS
    seen.append(reticence.expected("auto:fast"))

    assert seen == [False, False, True, False]
