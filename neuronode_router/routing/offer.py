"""What a name can do now: the least that any deployment guarantees which may answer it.

It must not know names, callers or wires. What nobody said is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.domain.rules import OnOverload
from neuronode_router.routing.fallback_chain import tier_order
from neuronode_router.routing.inventory import SEEN, TEXT, Ability, Deployment

Rate = tuple[float, float]
"""US dollars for a token of the prompt and of the answer."""

Range = tuple[float, float]
"""The lowest and the highest."""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What a request may count on, whoever of several deployments answers it."""

    context_window: int | None = None
    """Tokens of prompt and answer together: the smallest that is known."""
    max_output: int | None = None
    """Tokens of an answer: the smallest that is known, and no more than the window."""
    modalities: tuple[str, ...] = ()
    """What all of them are known to read."""
    abilities: Mapping[Ability, bool | None] | None = None
    """True where all are known to have it, False where one is known not to, None where nobody said of one."""
    prompt_usd: Range | None = None
    """For a token; None where one of them has no price."""
    answer_usd: Range | None = None


def offer_of(deployments: Sequence[Deployment], rates: Mapping[str, Rate]) -> Guarantee:
    """Return what these deployments guarantee together; those that are not there count only where all are not."""
    able = [each for each in deployments if each.available] or list(deployments)
    if not able:
        return Guarantee()
    window = _least(each.context_window for each in able)
    known = [rates[each.id] for each in able if each.id in rates]
    priced = known if len(known) == len(able) else []
    read = frozenset.intersection(*(each.modalities for each in able))
    return Guarantee(
        context_window=window,
        max_output=_least((window, *(each.max_tokens for each in able))) if _said(able) else None,
        modalities=tuple(each for each in (*TEXT, *SEEN) if each in read),
        abilities={ability: _has(able, ability) for ability in Ability},
        prompt_usd=_range(prompt for prompt, _ in priced),
        answer_usd=_range(answer for _, answer in priced),
    )


def reachable(
    ladder: Mapping[Tier, Sequence[str]], *, tier: Tier | None, policy: OnOverload, max_tier: Tier
) -> Iterator[str]:
    """Yield the groups that may answer `auto`, or a forced `tier` of it, under a cap: overload included."""
    tiers = TIERS if tier is None else tier_order(tier, policy)
    allowed = [each for each in tiers if TIERS.index(each) <= TIERS.index(max_tier)]
    named = (group for each in (allowed or [max_tier]) for group in ladder.get(each, ()))
    yield from dict.fromkeys(named)


def _said(able: Sequence[Deployment]) -> bool:
    return any(each.max_tokens is not None for each in able)


def _least(numbers: Iterable[int | None]) -> int | None:
    return min((number for number in numbers if number is not None), default=None)


def _range(prices: Iterable[float]) -> Range | None:
    found = sorted(prices)
    return (found[0], found[-1]) if found else None


def _has(able: Sequence[Deployment], ability: Ability) -> bool | None:
    if any(ability in each.cannot for each in able):
        return False
    return True if all(ability in each.able for each in able) else None
