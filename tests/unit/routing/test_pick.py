"""The choice within a group: two at random, the shorter expected wait, and nothing where nothing is known."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.routing.fallback_chain import PROBE_SHARE, DeploymentStatus
from neuronode_router.routing.fit import Needs
from neuronode_router.routing.inventory import Deployment
from neuronode_router.routing.overload import Health
from neuronode_router.routing.pick import Candidate, quickest, shortlist

ANY = Needs()


def pick(
    candidates: Sequence[Candidate], *, needs: Needs, random: Callable[[], float], keep: str | None = None
) -> str | None:
    """Return the id of the deployment that is chosen, as the routing strategy does where nothing shares by weight."""
    return quickest(shortlist(candidates, needs=needs, random=random, keep=keep), random=random)


def candidate(
    name: str,
    latency_ms: float | None = 100.0,
    in_flight: int = 0,
    health: Health = Health.OK,
    **known: object,
) -> Candidate:
    deployment = Deployment(id=name, group="g", **known)  # type: ignore[arg-type]
    return Candidate(DeploymentStatus(deployment, health), latency_ms, in_flight)


def shares(*candidates: Candidate, times: int = 2000, keep: str | None = None) -> dict[str | None, float]:
    """Return how often each is picked, by a fixed seed."""
    chance = random.Random(7).random
    picked = Counter(pick(candidates, needs=ANY, random=chance, keep=keep) for _ in range(times))
    return {name: count / times for name, count in picked.items()}


candidates_of_a_group = st.lists(
    st.builds(
        candidate,
        st.uuids().map(str),
        st.none() | st.floats(1, 10_000),
        st.integers(0, 50),
        st.sampled_from(Health),
        parallel=st.none() | st.integers(1, 4),
        loaded=st.sampled_from([None, True, False]),
        context_window=st.sampled_from([None, 100]),
    ),
    max_size=6,
)


@given(candidates_of_a_group, st.integers(0, 10**6), st.sampled_from([0, 200]))
def test_one_of_them_or_none(candidates: list[Candidate], seed: int, tokens: int) -> None:
    """It never fails, never invents, and is decided by its inputs and the random numbers alone."""
    names = {found.status.deployment.id for found in candidates}
    needs = Needs(tokens=tokens)

    picked = pick(candidates, needs=needs, random=random.Random(seed).random)

    assert picked is None or picked in names
    assert picked == pick(candidates, needs=needs, random=random.Random(seed).random)


def test_it_knows_nothing_without_figures() -> None:
    """Neither measured nor described: LiteLLM's own choice stands."""
    assert shares(candidate("a", None), candidate("b", None)) == {None: 1.0}
    assert shares() == {None: 1.0}


def test_the_shorter_wait_is_taken() -> None:
    """Latency times those in front: 100 ms with four running is slower than 300 ms idle."""
    assert shares(candidate("a", 100), candidate("b", 300)) == {"a": 1.0}
    assert shares(candidate("a", 100, in_flight=4), candidate("b", 300)) == {"b": 1.0}
    assert shares(candidate("a", 100, in_flight=4, parallel=8), candidate("b", 300)) == {"a": 1.0}


def test_ties_are_spread() -> None:
    """Equal ones share equally, so that workers do not all choose the same."""
    found = shares(*(candidate(name) for name in "abcd"))

    assert set(found) == set("abcd")
    assert all(0.2 < share < 0.3 for share in found.values())


def test_the_best_of_many_is_not_mobbed() -> None:
    """The best of four is one of two in half of the draws only; the worst never wins."""
    found = shares(candidate("a", 100), candidate("b", 200), candidate("c", 300), candidate("d", 400))

    assert 0.45 < found["a"] < 0.55
    assert "d" not in found


def test_one_that_was_never_measured_is_tried() -> None:
    """It counts as good as the best that is known."""
    assert 0.4 < shares(candidate("a"), candidate("new", None))["new"] < 0.6


def test_those_that_are_well_come_first() -> None:
    """An overloaded deployment is taken only when there is no better one."""
    slow, failing = candidate("s", 1, health=Health.SLOW), candidate("f", 1, health=Health.FAILING)

    assert shares(candidate("a", 900), slow, failing) == {"a": 1.0}
    assert shares(slow, failing) == {"s": 1.0}


def test_a_trickle_probes() -> None:
    """About a tenth of the picks find out how a deployment is that was slow."""
    found = shares(candidate("a"), candidate("p", 5000, health=Health.PROBING))

    assert abs(found["p"] - PROBE_SHARE) < 0.03


def test_what_cannot_hold_the_request_is_left_out() -> None:
    """Unless nothing can: then what is described may be wrong."""
    small = candidate("small", 1, context_window=100)
    large = candidate("large", 900)

    assert pick([small, large], needs=Needs(tokens=200), random=random.Random(1).random) == "large"
    assert pick([small], needs=Needs(tokens=200), random=random.Random(1).random) == "small"


def test_loaded_weights_are_preferred() -> None:
    """A cold load costs more than a short queue."""
    assert shares(candidate("cold", 100, loaded=False), candidate("warm", 100, in_flight=5, loaded=True)) == {
        "warm": 1.0
    }


def test_a_session_keeps_its_deployment_while_it_is_well() -> None:
    """Even if another is faster; not when it is overloaded, gone, or too small."""
    kept = candidate("kept", 900)

    assert shares(kept, candidate("a"), keep="kept") == {"kept": 1.0}
    assert shares(
        replace(kept, status=replace(kept.status, health=Health.SLOW)), candidate("a"), keep="kept"
    ) == {"a": 1.0}
    assert shares(candidate("a"), keep="gone") == {"a": 1.0}
