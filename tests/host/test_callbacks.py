"""Two callbacks stand for all parts: LiteLLM meets the hooks that the parts have, in their order, and no others."""

from __future__ import annotations

import inspect
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.integrations.custom_logger import CustomLogger

from neuronode_router.litellm_plugin.hooks.callbacks import FILTER, HANDED, Callbacks, standing_for

PRE_ATTEMPT = "async_pre_call_deployment_hook"


@pytest.fixture(autouse=True)
def lists(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(litellm, "callbacks", [])
    return litellm.callbacks


class Marks(CustomLogger):  # type: ignore[misc]
    """Notes in each attempt that it was here, and leaves the last deployment out."""

    def __init__(self, name: str, *, changes: bool = True) -> None:
        super().__init__()
        self.name = name
        self._changes = changes

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: object
    ) -> dict[str, Any] | None:
        return {**kwargs, "seen": [*kwargs.get("seen", ()), self.name]} if self._changes else None

    async def async_filter_deployments(
        self, model: str, healthy_deployments: list[Any], *more: Any
    ) -> list[Any]:
        return healthy_deployments[:-1]


class Refuses(CustomLogger):  # type: ignore[misc]
    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        raise PermissionError(str(kwargs["seen"]))


@pytest.mark.parametrize("name", sorted(HANDED))
def test_hooks_are_called_as_litellm_calls_its_own(name: str) -> None:
    """LiteLLM hands most arguments by name: each that its own hook has, ours takes under the same one."""
    theirs = inspect.signature(getattr(CustomLogger, name)).parameters

    assert [one for one in theirs if one not in inspect.signature(HANDED[name]).parameters] == []


def test_litellm_meets_the_hooks_of_the_parts_alone() -> None:
    """It looks for them in the very class, and a hook that does nothing would cost an await at each of its places."""
    callback = standing_for([Refuses()], called="Ours")

    assert {name for name in HANDED if name in vars(type(callback))} == {PRE_ATTEMPT}
    assert {name for name in HANDED if name in vars(type(standing_for([Marks("a")], called="Ours")))} == {
        PRE_ATTEMPT,
        FILTER,
    }


async def test_parts_are_called_in_their_order_each_on_what_the_one_before_left() -> None:
    callback = standing_for([Marks("a"), Marks("b", changes=False), Marks("c")], called="Ours")

    assert await callback.async_pre_call_deployment_hook({"model": "x"}, None) == {
        "model": "x",
        "seen": ["a", "c"],
    }
    assert await callback.async_filter_deployments("x", [1, 2, 3, 4], None) == [1]
    assert (
        await standing_for([Marks("b", changes=False)], called="Ours").async_pre_call_deployment_hook(
            {}, None
        )
        is None
    )


async def test_what_a_part_raises_ends_the_hook() -> None:
    """What refuses a call comes before what counts it."""
    callback = standing_for([Marks("a"), Refuses(), Marks("never")], called="Ours")

    with pytest.raises(PermissionError, match="'a'"):
        await callback.async_pre_call_deployment_hook({}, None)


def test_several_pairs_stand_beside_each_other_and_are_put_back(lists: list[Any]) -> None:
    """As of routers of the SDK. LiteLLM takes callbacks of one class name for the same."""
    pairs = [Callbacks([Refuses()], [Marks("last")]) for _ in range(2)]
    for _ in range(2):
        for pair in pairs:
            pair.hold()
    held = list(lists)
    lists.remove(pairs[0].both[0])
    pairs[0].hold()
    again = list(lists)
    pairs[0].release()

    assert sorted(map(id, held)) == sorted(id(one) for pair in pairs for one in pair.both)
    assert sorted(map(id, again)) == sorted(map(id, held))
    assert {*map(id, lists)} == {*map(id, pairs[1].both)}


def test_the_last_stays_behind_what_leaves_deployments_out(lists: list[Any]) -> None:
    pair = Callbacks([Refuses()], [Marks("last")])
    pair.hold()
    lists += [Marks("an operator's"), Refuses()]
    pair.hold()

    assert lists[-1] is pair.both[1]


def test_a_list_that_an_operator_has_filled_loses_none_of_ours(
    lists: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM's manager refuses what comes after its limit, which callbacks of a configuration may pass."""
    monkeypatch.setattr(
        litellm.litellm_core_utils.logging_callback_manager, "MAX_CALLBACKS", 3, raising=False
    )
    pair = Callbacks([Refuses()], [Marks("last")])
    lists += [Marks(f"theirs {number}") for number in range(4)]
    for _ in range(2):
        pair.hold()
        lists.append(Marks("more"))
    pair.hold()

    assert lists.count(pair.both[0]) == lists.count(pair.both[1]) == 1
    assert lists[-1] is pair.both[1]


def test_what_chooses_no_group_leaves_the_callers_order(lists: list[Any]) -> None:
    """As for callers of the SDK: what a guardrail takes before an attempt is not the deployment's time."""

    class Guards(CustomGuardrail):  # type: ignore[misc]
        async def async_pre_call_hook(self, *_: Any, **__: Any) -> None:
            pass

    guard = Guards(guardrail_name="mine")
    lists.append(guard)
    pair = Callbacks([Refuses()], [Marks("last")])
    pair.hold()

    assert lists == [guard, *pair.both]


def test_the_same_hooks_are_one_class() -> None:
    """LiteLLM keeps for ever what it knows of a class, and shows its name."""
    one, other = (Callbacks([Refuses()], [Marks("last")]).both for _ in range(2))

    assert [type(callback) for callback in one] == [type(callback) for callback in other]
    assert [type(callback).__name__ for callback in one] == ["NeuronodeFirst", "NeuronodeLast"]
