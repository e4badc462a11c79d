"""In which order weights are loaded and let go on one server, so that a switch finds them in memory.

Pure: what is wanted, what is there and how much room there is go in, a plan comes out. It knows no HTTP and no profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from neuronode_router.domain.receipts import WarmOrder
from neuronode_router.health.ollama import OllamaHost, Resident
from neuronode_router.warm.needs import ServerNeeds, WarmTarget

SPARE_ROOM = 1.2
"""How much more memory weights are taken to need than their file has bytes: for the cache of keys and values and for
buffers. An assumption: a wide window needs more. What is in memory already counts as its server says."""


@dataclass(frozen=True, slots=True)
class ServerLook:
    """What a server said."""

    sizes: Mapping[str, int]
    """Bytes of the weights that it could load, by tag; 0 where unknown."""
    residents: Mapping[str, Resident] = field(default_factory=dict)
    bound: int | None = None
    """Bytes of memory for weights; None where nobody said it."""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What is done on one server around one change."""

    host: OllamaHost
    order: WarmOrder = WarmOrder.READY
    missing: tuple[WarmTarget, ...] = ()
    """What the server does not have: it could be pulled."""
    first: tuple[str, ...] = ()
    """Let go at once: nobody needs it, neither before nor after."""
    early: tuple[WarmTarget, ...] = ()
    """Loaded before the commit."""
    let_go: tuple[str, ...] = ()
    """Let go right after the commit: only what was in force before needs it, and it is in the way."""
    late: tuple[WarmTarget, ...] = ()
    """Loaded after that."""
    too_big: tuple[WarmTarget, ...] = ()
    """Not loaded: there is no room for it beside what is needed."""
    idle: tuple[str, ...] = ()
    """Let go later, once nobody asks for it any more."""
    bytes: Mapping[str, int] = field(default_factory=dict)
    """What loading takes, by tag; absent where unknown."""


def plan_server(host: OllamaHost, needs: ServerNeeds, look: ServerLook) -> ServerPlan:
    """Return what to do. Never raises.

    It lets go only what is ours and nobody needs any more, and where it says make before break everything that is in
    memory and all that comes is within the bound.
    """
    wanted = [target for target in needs.wanted if target.stays]
    missing = tuple(target for target in wanted if target.tag not in look.sizes)
    loads = [target for target in wanted if target.tag in look.sizes and not _is_warm(target, look)]
    sizes = {target.tag: size for target in loads if (size := _room_for(look.sizes[target.tag]))}
    free = [tag for tag in _oldest_first(look) if tag in needs.ours - needs.after]
    room = _room(look, {target.tag for target in loads})
    if not loads or room is None or len(sizes) < len(loads):
        order = WarmOrder.UNKNOWN if loads else WarmOrder.READY
        return ServerPlan(host, order, missing, early=tuple(loads), idle=tuple(free), bytes=sizes)
    if sum(sizes.values()) <= room:
        order = WarmOrder.MAKE_BEFORE_BREAK
        return ServerPlan(host, order, missing, early=tuple(loads), idle=tuple(free), bytes=sizes)
    return _swap(ServerPlan(host, WarmOrder.ORDERED_SWAP, missing, bytes=sizes), loads, free, needs, look)


def _swap(
    plan: ServerPlan, loads: list[WarmTarget], free: list[str], needs: ServerNeeds, look: ServerLook
) -> ServerPlan:
    room = _room(look, {target.tag for target in loads}) or 0
    spare = [tag for tag in free if tag not in needs.before]
    first, room = _freed(spare, sum(plan.bytes.values()), room, look)
    early, room = _fitting(loads, plan.bytes, room)
    rest = [target for target in loads if target not in early]
    leaving = [tag for tag in free if tag in needs.before]
    let_go, room = _freed(leaving, sum(plan.bytes[target.tag] for target in rest), room, look)
    late, room = _fitting(rest, plan.bytes, room)
    return ServerPlan(
        plan.host,
        plan.order,
        plan.missing,
        first=first,
        early=early,
        let_go=let_go,
        late=late,
        too_big=tuple(target for target in rest if target not in late),
        idle=tuple(tag for tag in free if tag not in (*first, *let_go)),
        bytes=plan.bytes,
    )


def _is_warm(target: WarmTarget, look: ServerLook) -> bool:
    resident = look.residents.get(target.tag)
    if resident is None:
        return False
    return target.num_ctx is None or resident.num_ctx is None or resident.num_ctx == target.num_ctx


def _room_for(size: int) -> int:
    return int(size * SPARE_ROOM)


def _room(look: ServerLook, anew: set[str]) -> int | None:
    """Return the bytes that are free when what is loaded anew is gone; None where that is not known."""
    held = [resident.size for tag, resident in look.residents.items() if tag not in anew]
    if look.bound is None or None in held:
        return None
    return look.bound - sum(size for size in held if size)


def _oldest_first(look: ServerLook) -> list[str]:
    return sorted(look.residents, key=lambda tag: (look.residents[tag].expires_at, tag))


def _freed(tags: Iterable[str], wanted: int, room: int, look: ServerLook) -> tuple[tuple[str, ...], int]:
    """Return which of `tags` go until there is enough room, and the room then."""
    gone: list[str] = []
    for tag in tags:
        if wanted <= room:
            break
        gone.append(tag)
        room += look.residents[tag].size or 0
    return tuple(gone), room


def _fitting(
    loads: Iterable[WarmTarget], sizes: Mapping[str, int], room: int
) -> tuple[tuple[WarmTarget, ...], int]:
    """Return what fits, in order, and the room that is left."""
    chosen: list[WarmTarget] = []
    for target in loads:
        if sizes[target.tag] <= room:
            chosen.append(target)
            room -= sizes[target.tag]
    return tuple(chosen), room
