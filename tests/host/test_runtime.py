"""The composition root against a stand-in for LiteLLM's proxy module: what it says, and when it renders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import litellm
import pytest
from litellm.proxy._types import UserAPIKeyAuth

from admin_api.ui.routes import STATIC
from neuronode_router.domain.bindings import Beyond
from neuronode_router.domain.state import ControlState
from neuronode_router.litellm_plugin.runtime import Runtime
from neuronode_router.litellm_plugin.seams import NEEDED, Off, Part
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.settings import Settings
from tests.host.test_seams import GROUPS, entry
from tests.support.control import HOST, make_set
from tests.support.migrated import migrated_by_a_newer_release, with_a_revision_of_a_newer_release

SERVED = build_snapshot(ControlState(1, "premium", make_set(), committed_at=0.0), HOST)


def build(
    directory: Path,
    *,
    render: str = "auto",
    general: dict[str, Any] | None = None,
    stored: bool = False,
    off: Off | None = None,
    **router: Any,
) -> Runtime:
    (directory / "litellm_config.yaml").write_text("profile_settings: {current_profile: balanced}\n")
    proxy = SimpleNamespace(
        llm_router=litellm.Router(model_list=[entry(group) for group in GROUPS], **router),
        general_settings=general or {},
        store_model_in_db=stored,
        master_key="sk-0123456789",
    )
    settings = Settings.load({"NEURONODE_RENDER": render}, config=directory / "litellm_config.yaml")
    return Runtime(proxy=proxy, settings=settings, host_version="1.106.2", off=off)


@pytest.mark.parametrize(
    ("render", "general", "stored", "expected"),
    [
        ("auto", {}, False, "on"),
        ("auto", {"store_model_in_db": True}, True, "off"),
        ("auto", {"store_model_in_db": False}, True, "off"),
        ("on", {"store_model_in_db": True}, True, "on"),
        ("off", {}, False, "off"),
    ],
)
async def test_rendering_is_off_by_default_where_litellm_rereads_its_file(
    tmp_path: Path, *, render: str, general: dict[str, Any], stored: bool, expected: str
) -> None:
    """With `store_model_in_db` LiteLLM would put the file's map back every 30 s; a setting overrules the default."""
    runtime = build(tmp_path, render=render, general=general, stored=stored)

    assert runtime.says.status()["rendering"] == expected


async def test_the_status_names_embedded_groups_and_carries_no_deployment_parameters(tmp_path: Path) -> None:
    """Which groups the built-in model answers is said; nothing of litellm_params, which hold keys, is."""
    status = build(tmp_path).says.status()

    assert status["embedded_groups"] == ["chat_balanced"]
    assert "api_base" not in repr(status)


@pytest.mark.parametrize(
    ("fields", "codes"),
    [(["metadata"], ["team_rules_open"]), (["tpm_limit"], []), (None, []), ("metadata", [])],
)
async def test_the_status_tells_that_teams_may_write_their_own_rules(
    tmp_path: Path, fields: object, codes: list[str]
) -> None:
    """LiteLLM's UI can give them the right at any time, so the doctor's look at a file is not enough."""
    says = build(tmp_path, general={"team_admin_editable_team_fields": fields}).says

    assert [problem.code for problem in says.status()["problems"]] == codes
    assert says.readiness()["problems"] == build(tmp_path).says.readiness()["problems"]


@pytest.mark.parametrize("part", Part)
async def test_a_part_that_lacks_a_seam_is_named_everywhere(tmp_path: Path, part: Part) -> None:
    """In the status, the heartbeat and readiness; off, or impaired where all others stand on it."""
    says = build(tmp_path, off={part: ["module:gone"]}).says

    (problem,) = [one for one in says.status()["problems"] if one.code == "part_off"]
    assert problem.path == part
    assert problem.message.startswith("Impaired" if part in NEEDED else "Off")
    assert "module:gone" in problem.message
    assert says.report()["parts_off"] == [part]
    assert "part_off" in says.readiness()["problems"]


@pytest.mark.parametrize(
    ("make", "code", "told"),
    [
        (
            migrated_by_a_newer_release,
            "schema_too_new",
            "LiteLLM's own aliases answer: The database has schema 9999",
        ),
        (
            with_a_revision_of_a_newer_release,
            "revision_refused",
            "LiteLLM's own aliases answer: Revision 1 cannot be",
        ),
    ],
)
async def test_without_a_revision_the_start_is_not_over_and_it_is_said_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], str], code: str, told: str
) -> None:
    """What a newer release left behind; once something is served, nothing of that kind keeps a start back."""
    make(tmp_path / ".neuronode/control.db")
    runtime = build(tmp_path)
    before = runtime.says.startup()["problems"]

    await runtime.control.worker.start()
    after, ready = runtime.says.startup()["problems"], runtime.says.readiness()["problems"]
    await runtime.control.worker.stop()

    assert (before, after) == (["not_ready"], ["not_ready", code])
    assert set(after) <= set(ready)
    assert told in caplog.text

    runtime.current.take(SERVED)
    assert runtime.says.startup()["problems"] == []


@pytest.mark.parametrize(("part", "there"), [(Part.HEADERS, False), (Part.CHOICE, True)])
async def test_litellm_meets_no_hook_of_a_part_that_is_off(
    tmp_path: Path, part: Part, *, there: bool
) -> None:
    """Nor is the map of its router written where that is off."""
    runtime = build(tmp_path, off={part: ["module:gone"]})
    name = "async_post_call_response_headers_hook"

    assert any(name in type(callback).__dict__ for callback in runtime.callbacks.both) is there


async def test_without_the_mirror_litellms_map_is_left_alone(tmp_path: Path) -> None:
    """The operator's aliases are read all the same."""
    runtime = build(tmp_path, off={Part.ALIASES: ["module:gone"]}, model_group_alias={"mine": "chat_premium"})

    runtime.control.aliases.replace({"chat": "chat_premium"})

    assert runtime.bridge.aliases() == runtime.control.operators_aliases() == {"mine": "chat_premium"}


async def test_tag_routing_is_a_warning(tmp_path: Path) -> None:
    """Where tags choose deployments, requests carry none of ours and the status says so."""
    assert build(tmp_path).says.status()["warnings"] == []
    assert "Tag routing is on" in build(tmp_path, enable_tag_filtering=True).says.status()["warnings"][0]


async def test_our_own_names_are_not_the_operators_aliases(tmp_path: Path) -> None:
    """Names that LiteLLM's file lists because we rendered them do not count as aliases of the operator."""
    rendered = {"classification": "chat_premium", "task_chat": "chat_balanced", "mine": "chat_premium"}

    facts = build(tmp_path, model_group_alias=rendered).control.facts()

    assert facts.aliases == {"mine"}
    assert facts.groups == set(GROUPS)


async def test_every_fact_that_the_page_shows_of_a_worker_has_words(tmp_path: Path) -> None:
    """What has none would stand there as its key, or not at all."""
    texts = (STATIC / "js/texts_de.js").read_text()
    plain = {
        name for name, value in build(tmp_path).says.status().items() if isinstance(value, str | int | float)
    }

    assert {name for name in plain if f'"host.{name}"' not in texts} == set()


async def test_what_teams_have_spent_is_known_before_the_first_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restarted worker holds a spent budget at once; while nobody can tell, none is said to be untouched."""
    runtime = build(tmp_path)
    user, rule = UserAPIKeyAuth(team_id="a"), Beyond(share=0.5, profile="cheap", monthly_usd=10.0)
    assert runtime.budgets.spent(user, "team:a", rule) is None
    told: list[float | None] = []
    monkeypatch.setattr(runtime.budgets, "_monthly_costs", lambda: {"a": 9.0})

    async def start() -> None:
        told.append(runtime.budgets.spent(user, "team:a", rule))

    monkeypatch.setattr(runtime.control, "start", start)
    await runtime._begin()
    await runtime._end()

    assert told == [0.9]
