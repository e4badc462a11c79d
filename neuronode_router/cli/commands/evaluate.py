"""`neuronode evaluate`: what `auto` would do with one's own logged requests, beside simple ways.

Nothing leaves the machine. It must not know how a request is classified or how figures are made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuronode_router.cli.options import Number, json_option, state_dir_option
from neuronode_router.cli.terminal import answer, table
from neuronode_router.domain.names import TIERS, TOO_CHEAP, TOO_DEAR, Tier
from neuronode_router.errors import NeuronodeError

if TYPE_CHECKING:
    from neuronode_router.classifier.classifier import Classifier
    from neuronode_router.classifier.evaluation import Estimate, WayFigures

COSTS = "fast=1,medium=3,complex=10"
PRICE = Number(0.01, 100)
"""As profiles have it: of an error only the ratio counts."""
COST = Number(0)


class LogInvalid(NeuronodeError):
    """The log cannot be evaluated."""

    code = "log_invalid"
    fix = 'Write one request a line, such as {"messages": [...], "ok_tiers": ["medium"]}; see docs/classifier.md.'


@click.command("evaluate")
@click.option(
    "--log",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Requests, one JSON object a line, with what would have done.",
)
@click.option("--costs", default=COSTS, show_default=True, help="Of an answer of each tier.")
@click.option(
    "--uncertain",
    default=Tier.MEDIUM.value,
    show_default=True,
    type=click.Choice([tier.value for tier in TIERS]),
    help="The tier for what nothing tells.",
)
@click.option(
    "--too-cheap", type=PRICE, default=TOO_CHEAP, show_default=True, help="The price of a tier too light."
)
@click.option(
    "--too-dear", type=PRICE, default=TOO_DEAR, show_default=True, help="The price of a tier too heavy."
)
@state_dir_option
@json_option
def command(
    *,
    log: Path,
    costs: str,
    uncertain: str,
    state_dir: Path | None,
    as_json: bool,
    **errors: float,
) -> None:
    """Compare `auto` on your own requests with a fixed tier, with length, and with chance."""
    from neuronode_router.classifier.evaluation import compare, read_log
    from neuronode_router.classifier.training.labelled import LabelError, read_rows

    prices = _costs(costs)
    try:
        rows = read_rows(log)
    except LabelError as error:
        raise LogInvalid(error.message) from error
    decide = _deciding(_classifier(state_dir), uncertain=Tier(uncertain), errors=errors)
    try:
        requests = list(read_log(rows, decide))
        found = compare(requests, prices)
    except ValueError as error:
        raise LogInvalid(f"{log.name}: {error}.") from error
    counts = {
        "rows": len(rows),
        "requests": len(requests),
        "with_tiers": sum(bool(request.allowed) for request in requests),
        "with_answers": sum(request.right is not None for request in requests),
    }
    document = {**counts, "ways": [asdict(way) for way in found]}
    answer(document, lambda: (_heading(counts), _table(found)), as_json=as_json)


def _classifier(state_dir: Path | None) -> Classifier:
    """Return what workers use: weights trained on this host, else the shipped ones."""
    from neuronode_router.classifier import lexicon, shipped
    from neuronode_router.classifier.artefacts import ArtefactStore
    from neuronode_router.classifier.classifier import Classifier
    from neuronode_router.cli.options import settings_with

    found = ArtefactStore(settings_with({"state_dir": state_dir}).state_dir).load()
    return Classifier(lexicon.shipped(), found.weights) if found else shipped()


def _deciding(
    classifier: Classifier, *, uncertain: Tier, errors: Mapping[str, float]
) -> Callable[[Mapping[str, Any]], tuple[Tier, int] | None]:
    from neuronode_router.classifier import excerpt
    from neuronode_router.routing.conversation import read

    def decide(row: Mapping[str, Any]) -> tuple[Tier, int] | None:
        text = row.get("text")
        body = row if text is None else {"messages": [{"role": "user", "content": text}]}
        said = read(body)
        looked_at = excerpt.read(said.turns, system=said.system)
        if not looked_at.pieces:
            return None
        found = classifier.classify_excerpt(looked_at)
        tier = found.tier_at(**errors) if found.confident else uncertain
        return tier, looked_at.length

    return decide


def _costs(given: str) -> dict[Tier, float]:
    try:
        costs = {
            Tier(name.strip()): COST.convert(cost, None, None)
            for name, _, cost in (p.partition("=") for p in given.split(","))
        }
    except (ValueError, click.BadParameter) as error:
        raise click.BadParameter(f"{given!r} is not like {COSTS}.", param_hint="--costs") from error
    if costs.keys() != set(TIERS):
        raise click.BadParameter(f"{given!r} does not name fast, medium and complex.", param_hint="--costs")
    return costs


def _heading(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['requests']} requests with text of {counts['rows']} rows; {counts['with_tiers']} say which tiers "
        f"would have done, {counts['with_answers']} how each tier answered. Intervals: 95 %."
    )


def _table(found: list[WayFigures]) -> Any:
    columns = (
        "way",
        "fast / medium / complex",
        "cost",
        "too light",
        "too heavy",
        "hard sent light",
        "right",
        "over chance",
    )
    return table(
        columns,
        (
            (
                way.name,
                " / ".join(f"{way.shares[tier]:.0%}" for tier in TIERS),
                f"{way.cost.value:.2f}",
                *(_shown(each) for each in (way.too_light, way.too_heavy, way.hard_sent_light, way.right)),
                _shown(way.over_random, sign="+"),
            )
            for way in found
        ),
    )


def _shown(found: Estimate | None, *, sign: str = "") -> str:
    if found is None:
        return "-"
    return f"{found.value:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"
