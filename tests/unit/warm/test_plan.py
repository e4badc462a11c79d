"""In which order weights are loaded and let go: what fits, what does not, and what is never touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.receipts import WarmOrder
from neuronode_router.health.ollama import OllamaHost, Resident
from neuronode_router.warm.needs import ServerNeeds, WarmTarget
from neuronode_router.warm.plan import SPARE_ROOM, ServerLook, ServerPlan, plan_server

HOST = OllamaHost("http://gpu:11434")
GB = 10**9


def target(tag: str, **about: object) -> WarmTarget:
    return WarmTarget(HOST, tag, **about)  # type: ignore[arg-type]


def resident(gb: float | None, *, num_ctx: int | None = 4096, expires_at: str = "2026") -> Resident:
    return Resident(None if gb is None else int(gb * GB), num_ctx, expires_at)


def look(
    sizes: dict[str, float], residents: dict[str, Resident] | None = None, *, bound: float | None = None
) -> ServerLook:
    held = {tag: int(gb * GB) for tag, gb in sizes.items()}
    return ServerLook(held, residents or {}, None if bound is None else int(bound * GB))


def needs(
    *wanted: str | WarmTarget, before: str = "", after: str = "", ours: str = "old new spare"
) -> ServerNeeds:
    targets = tuple(target(each) if isinstance(each, str) else each for each in wanted)
    kept = {each.tag for each in targets} | set(after.split())
    return ServerNeeds(targets, frozenset(before.split()), frozenset(kept), frozenset(ours.split()))


def tags(targets: tuple[WarmTarget, ...]) -> list[str]:
    return [each.tag for each in targets]


def test_what_fits_is_made_before_anything_breaks() -> None:
    """There is room for both: the new one is loaded first, the old one goes when nobody asks for it any more."""
    plan = plan_server(
        HOST, needs("new", before="old"), look({"new": 4, "old": 4}, {"old": resident(5)}, bound=12)
    )

    assert plan.order is WarmOrder.MAKE_BEFORE_BREAK
    assert (tags(plan.early), plan.first, plan.let_go, plan.idle) == (["new"], (), (), ("old",))


def test_what_does_not_fit_waits_for_the_commit() -> None:
    """What is in force is not let go before the commit: whoever asks for it would wait for it to be loaded again."""
    plan = plan_server(
        HOST, needs("new", before="old"), look({"new": 8, "old": 8}, {"old": resident(9)}, bound=12)
    )

    assert plan.order is WarmOrder.ORDERED_SWAP
    assert (plan.early, plan.let_go, tags(plan.late), plan.idle) == ((), ("old",), ["new"], ())


def test_what_nobody_needs_goes_first() -> None:
    """Where left-overs are in the way the new one is loaded before the commit all the same."""
    residents = {"spare": resident(5), "old": resident(5)}
    plan = plan_server(
        HOST, needs("new", before="old"), look({"new": 5, "old": 5, "spare": 5}, residents, bound=14)
    )

    assert (plan.first, tags(plan.early), plan.let_go, plan.idle) == (("spare",), ["new"], (), ("old",))


def test_what_nobody_knows_is_in_the_way_and_stays() -> None:
    """Another program's weights are never let go, so what does not fit beside them is not loaded."""
    plan = plan_server(HOST, needs("new"), look({"new": 8, "foreign": 8}, {"foreign": resident(8)}, bound=12))

    assert (plan.first, plan.let_go, plan.early, plan.late) == ((), (), (), ())
    assert tags(plan.too_big) == ["new"]


@pytest.mark.parametrize(
    ("sizes", "residents", "bound"),
    [({"new": 4}, {}, None), ({"new": 0}, {}, 24), ({"new": 4}, {"old": resident(None)}, 24)],
    ids=["no bound", "no size", "no size in memory"],
)
def test_without_figures_it_is_loaded_and_nothing_let_go(
    sizes: dict[str, float], residents: dict[str, Resident], bound: float | None
) -> None:
    """What cannot be reckoned is left to the server."""
    plan = plan_server(HOST, needs("new", before="old"), look(sizes, residents, bound=bound))

    assert plan.order is WarmOrder.UNKNOWN
    assert (tags(plan.early), plan.first, plan.let_go, plan.late) == (["new"], (), (), ())


def test_another_window_is_loaded_anew() -> None:
    """Weights with another num_ctx than the deployment asks for are cold: the first request would load them again."""
    wide = target("new", options=(("num_ctx", 8192),))
    narrow, right = resident(4, num_ctx=4096), resident(4, num_ctx=8192)

    anew = plan_server(HOST, needs(wide), look({"new": 4}, {"new": narrow}, bound=5))

    assert (anew.order, tags(anew.early)) == (WarmOrder.MAKE_BEFORE_BREAK, ["new"])
    assert plan_server(HOST, needs(wide), look({"new": 4}, {"new": right}, bound=5)).order is WarmOrder.READY
    assert (
        plan_server(HOST, needs("new"), look({"new": 4}, {"new": narrow}, bound=5)).order is WarmOrder.READY
    )


@pytest.mark.parametrize(
    ("keep_alive", "stays"),
    [
        *((each, False) for each in (0, "0", "0s", "0m0s", 0.0)),
        *((each, True) for each in (None, -1, "-1m", "10m", "1h0m", 300, "0.5s")),
    ],
)
def test_what_goes_after_each_answer_is_not_warmed(keep_alive: str | float | None, *, stays: bool) -> None:
    """A deployment whose keep_alive is nothing would let go at once what was loaded."""
    plan = plan_server(HOST, needs(target("new", keep_alive=keep_alive)), look({"new": 4}))

    assert [*map(bool, plan.early)] == [True] * stays


def test_what_is_not_there_is_missing_and_the_rest_is_loaded() -> None:
    """A model that was never pulled keeps no other from being loaded."""
    plan = plan_server(HOST, needs("new", "absent"), look({"new": 4}, bound=24))

    assert (tags(plan.missing), tags(plan.early)) == (["absent"], ["new"])


names = st.sampled_from([*"abcdefg"])
sets = st.frozensets(names)
worlds = st.builds(
    lambda wanted, before, after, ours, sizes, held, bound: (
        ServerNeeds(tuple(map(target, wanted)), before, after | frozenset(wanted), ours),
        look(sizes, {tag: resident(gb, expires_at=tag) for tag, gb in held.items()}, bound=bound),
    ),
    st.lists(names, unique=True, max_size=4),
    sets,
    sets,
    sets,
    st.dictionaries(names, st.integers(0, 20)),
    st.dictionaries(names, st.none() | st.integers(1, 20)),
    st.none() | st.integers(1, 60),
)


def memory(given: ServerLook, gone: set[str], loaded: list[WarmTarget], plan: ServerPlan) -> int:
    """Return the bytes in memory when `gone` are gone and `loaded` are there."""
    anew = {each.tag for each in loaded}
    held = sum(each.size or 0 for tag, each in given.residents.items() if tag not in gone | anew)
    return held + sum(plan.bytes[tag] for tag in anew)


@given(worlds)
def test_nothing_that_is_needed_is_ever_let_go(world: tuple[ServerNeeds, ServerLook]) -> None:
    """Neither what is in force before the commit nor what is needed after it, and never a stranger's."""
    wanted, given_look = world
    plan = plan_server(HOST, wanted, given_look)

    assert not set(plan.first) & (wanted.before | wanted.after)
    assert not {*plan.let_go, *plan.idle} & wanted.after
    assert {*plan.first, *plan.let_go, *plan.idle} <= wanted.ours & given_look.residents.keys()


@given(worlds)
def test_the_bound_holds_in_every_step(world: tuple[ServerNeeds, ServerLook]) -> None:
    """Make before break never needs more than there is; a swap neither before the commit nor after it."""
    wanted, given_look = world
    plan = plan_server(HOST, wanted, given_look)
    if plan.order not in (WarmOrder.MAKE_BEFORE_BREAK, WarmOrder.ORDERED_SWAP):
        return
    bound = given_look.bound
    assert bound is not None
    early, gone = [*plan.early], set(plan.first)

    if plan.order is WarmOrder.MAKE_BEFORE_BREAK:
        assert not gone
        assert not plan.late
    if early:
        assert memory(given_look, gone, early, plan) <= bound
    if plan.late:
        assert memory(given_look, gone | set(plan.let_go), [*early, *plan.late], plan) <= bound


@given(worlds)
def test_everything_wanted_is_accounted_for_and_a_swap_loads_all_that_fits(
    world: tuple[ServerNeeds, ServerLook],
) -> None:
    """Each thing wanted is in one place, and nothing is left out for which there is room at the end."""
    wanted, given_look = world
    plan = plan_server(HOST, wanted, given_look)
    chosen = [*tags(plan.missing), *tags(plan.early), *tags(plan.late), *tags(plan.too_big)]
    warm = {each.tag for each in wanted.wanted} & given_look.residents.keys() & given_look.sizes.keys()

    assert len(chosen) == len(set(chosen))
    assert set(chosen) == {each.tag for each in wanted.wanted} - warm
    for left_out in plan.too_big:
        gone = {*plan.first, *plan.let_go}
        all_of_it = memory(given_look, gone, [*plan.early, *plan.late, left_out], plan)
        assert given_look.bound is not None
        assert all_of_it > given_look.bound
        assert plan.bytes[left_out.tag] == int(given_look.sizes[left_out.tag] * SPARE_ROOM)
