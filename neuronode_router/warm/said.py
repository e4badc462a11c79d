"""What is said of local models: which server is meant, and sentences for people.

Of a server only host and port are shown: its address can hold more than everybody may see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from neuronode_router.domain.receipts import LocalWeights, WarmOrder
from neuronode_router.health.ollama import OllamaHost
from neuronode_router.warm.needs import WarmTarget
from neuronode_router.warm.plan import ServerPlan


def shown(host: OllamaHost) -> str:
    """Return a server for people. Never raises."""
    try:
        split = urlsplit(host.address)
        name, port = split.hostname, split.port
    except ValueError:
        return "a server"
    return f"{name or 'a server'}:{port}" if port else name or "a server"


def size(count: int) -> str:
    """Return bytes for people, in powers of ten as model pages have them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"


def overall(orders: Iterable[WarmOrder]) -> WarmOrder:
    """Return the order of a change on several servers: the one that clients notice most."""
    ranks = (WarmOrder.READY, WarmOrder.MAKE_BEFORE_BREAK, WarmOrder.UNKNOWN, WarmOrder.ORDERED_SWAP)
    return max(orders, key=ranks.index, default=WarmOrder.READY)


def foretold(plan: ServerPlan) -> Iterator[str]:
    """Yield what a plan says will be done."""
    server = shown(plan.host)
    for target in plan.missing:
        yield f"{target.tag} is not present on {server}; `pull` has it fetched."
    for target in plan.early:
        much = plan.bytes.get(target.tag)
        if plan.order is WarmOrder.UNKNOWN:
            yield f"{target.tag} is loaded on {server}; how much memory that has is not known here."
        else:
            yield f"{target.tag} is loaded on {server}: {size(much or 0)}, fits."
    if plan.late:
        gone = ", ".join(plan.let_go)
        names = ", ".join(f"{target.tag} ({size(plan.bytes[target.tag])})" for target in plan.late)
        yield f"{names} does not fit on {server} beside {gone}: after the switch {gone} goes, then it is loaded."
    if plan.first:
        yield f"{', '.join(plan.first)}, which nobody needs, goes from {server} first."
    for target in plan.too_big:
        named = f"{target.tag} ({size(plan.bytes[target.tag])})"
        yield f"{named} does not fit on {server} beside what is needed there: it is not loaded."


def not_for(target: WarmTarget, host: OllamaHost, gone: Iterable[str]) -> str:
    """Return that something is not loaded, because a server has let go of something else that is needed."""
    names = ", ".join(sorted(gone))
    return (
        f"{target.tag} is not loaded on {shown(host)}: that has no room, and has let go of {names} already."
    )


def was_done(loaded: Iterable[LocalWeights], failed: Iterable[LocalWeights]) -> Iterator[str]:
    """Yield what became of it."""
    for each in loaded:
        yield f"{each.model} is in memory on {each.server} after {each.seconds or 0:.1f} s."
    for each in failed:
        yield f"{each.model} on {each.server}: {each.why}."
