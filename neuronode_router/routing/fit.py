"""What a request needs of a deployment, and what a deployment lacks of it.

It must not know wires or LiteLLM. What nobody said of a deployment is no reason against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from neuronode_router.routing.inventory import TEXT, Ability, Deployment, Modality
from neuronode_router.routing.residency import NOTHING_REQUIRED, Required, is_within

ROOM = 512
"""Tokens that must be left for an answer: what asks for a longer one is not refused for that, only placed better."""


class Misfit(StrEnum):
    """Why a deployment, or all of a group, cannot hold a request."""

    CONTEXT_WINDOW = "context_window"
    MODALITY = "modality"
    TOOLS = "tools"
    SCHEMA = "schema"
    RESIDENCY = "residency"
    """It is where the request's data may not go: not even where nothing else is left."""


_OF_ABILITY = {Ability.TOOLS: Misfit.TOOLS, Ability.SCHEMA: Misfit.SCHEMA}


@dataclass(frozen=True, slots=True)
class Needs:
    """What a deployment must be able to hold."""

    tokens: int = 0
    """Of everything that is sent, estimated."""
    guessed: int = 0
    """How many of these nothing but the bytes of files tell: they put a deployment behind others, and refuse none."""
    answer: int = 0
    """Tokens of the longest answer that is asked for; 0 where the request does not say."""
    modalities: frozenset[Modality] = TEXT
    abilities: frozenset[Ability] = frozenset()
    parameters: frozenset[str] = frozenset()
    """OpenAI's names of what the request sets."""
    places: Required = NOTHING_REQUIRED
    """Where its data may go."""

    @property
    def sure(self) -> int:
        """Tokens that are estimated from what was read."""
        return self.tokens - self.guessed

    def least(self, deployment: Deployment) -> int:
        """Return the window without which a deployment cannot answer: small ones are left more of it."""
        if not deployment.answers:
            return self.sure
        return self.sure + min(self.answer or ROOM, ROOM, (deployment.context_window or ROOM) // 4)


NO_NEEDS = Needs()


def misfit(deployment: Deployment, needs: Needs) -> Misfit | None:
    """Return why a deployment cannot hold a request, None when it can or nobody said how much it holds."""
    if needs.places and not is_within(deployment.location, needs.places):
        return Misfit.RESIDENCY
    if needs.modalities & deployment.refuses:
        return Misfit.MODALITY
    if deployment.context_window is not None and needs.least(deployment) > deployment.context_window:
        return Misfit.CONTEXT_WINDOW
    lacking = needs.abilities & deployment.cannot
    if not lacking:
        return None
    return next((_OF_ABILITY[ability] for ability in _OF_ABILITY if ability in lacking), None)


def unseen(deployment: Deployment, needs: Needs) -> frozenset[Modality]:
    """Return what a request brings of which nobody said that the deployment reads it."""
    return needs.modalities - deployment.modalities


def doubts(deployment: Deployment, needs: Needs) -> int:
    """Return how much speaks against a deployment that can hold a request: 0 where nothing does.

    Nobody said that it sees what is sent, the answer may be shorter than asked for, or parameters would be left out.
    """
    short = deployment.context_window is not None and needs.tokens + needs.answer > deployment.context_window
    cut = deployment.max_tokens is not None and needs.answer > deployment.max_tokens
    lacking = needs.abilities & deployment.cannot
    left_out = WEIGHTY.intersection(unaccepted(deployment, needs))
    return 8 * len(unseen(deployment, needs)) + short + cut + len(lacking) + len(left_out)


WEIGHTY = frozenset({"tools", "functions", "response_format", "logprobs", "top_logprobs", "n"})
"""Parameters without which an answer is another one than was asked for."""


def unaccepted(deployment: Deployment, needs: Needs) -> frozenset[str]:
    """Return the request's parameters that a deployment does not take. LiteLLM drops them, or refuses."""
    return frozenset() if deployment.accepts is None else needs.parameters - deployment.accepts


def why_not(deployments: Sequence[Deployment], needs: Needs) -> Misfit | None:
    """Return why none of a group's deployments can hold a request; None where one can, or none is known.

    What holds for a place alone goes last: another deployment, where the data may go, has a reason of its own.
    """
    wrong = [misfit(deployment, needs) for deployment in deployments]
    if not all(wrong):
        return None
    return next((why for why in wrong if why is not Misfit.RESIDENCY), next(iter(wrong), None))


def described(deployments: Sequence[Deployment], needs: Needs) -> str:
    """Return in words what a request needs that none of these deployments has. Names and numbers only."""
    return "; ".join(dict.fromkeys(_complaints(deployments, needs)))


def _complaints(deployments: Sequence[Deployment], needs: Needs) -> Iterator[str]:
    wrong = {misfit(deployment, needs) for deployment in deployments}
    if Misfit.MODALITY in wrong:
        refused = needs.modalities.intersection(*(deployment.refuses for deployment in deployments))
        yield f"it has {', '.join(sorted(refused or needs.modalities - TEXT))} input, which nothing there reads"
    if Misfit.CONTEXT_WINDOW in wrong:
        widest = max(deployments, key=lambda deployment: deployment.context_window or 0)
        room = needs.least(widest) - needs.sure
        yield (
            f"it is about {needs.sure} tokens and needs {room} more for the answer; the largest window there is "
            f"{widest.context_window}"
        )
    if Misfit.TOOLS in wrong:
        yield "it brings tools, which nothing there can call"
    if Misfit.SCHEMA in wrong:
        yield "it asks for an answer by a JSON schema, which nothing there can keep to"
