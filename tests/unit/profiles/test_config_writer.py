"""When the configuration file is rendered: once per host and revision, the newest state, never as an error."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import yaml

from neuronode_router.domain.names import TASK_ALIASES, Tier
from neuronode_router.domain.profiles import Profile, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.profiles.config_writer import Renderer

CONFIG = """\
# kept
router_settings:
  model_group_alias:
    mine: some_group  # the operator's own
profile_settings:
  current_profile: premium
"""


def state(
    revision: int, active: str, *, extra_task: str | None = None, committed_at: float = 0.0
) -> ControlState:
    tasks = [*TASK_ALIASES, *([extra_task] if extra_task else [])]
    profiles = {
        name: Profile(
            name=name,
            description=name,
            cost_level="low",
            performance_level="good",
            tasks={task: f"{task}_{name}" for task in tasks},
            tiers=dict.fromkeys(Tier, (f"chat_{name}",)),
        )
        for name in ("premium", "balanced")
    }
    return ControlState(revision, active, ProfileSet(profiles), committed_at=committed_at)


class Host:
    """A directory with a configuration and any number of workers that render it."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "litellm_config.yaml"
        self.config.write_text(CONFIG)
        self.enabled = True

    def worker(self) -> Renderer:
        return Renderer(
            config=self.config,
            mark=self.config.parent / "rendered.json",
            enabled=lambda: self.enabled,
            patience=0.0,
        )

    def said(self) -> tuple[str, dict[str, str]]:
        document = yaml.safe_load(self.config.read_text())
        aliases: dict[str, str] = document["router_settings"]["model_group_alias"]
        return document["profile_settings"]["current_profile"], aliases


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


async def render(worker: Renderer, wanted: ControlState) -> None:
    worker.schedule(wanted)
    await worker.idle()


async def test_the_active_profile_is_written_and_the_rest_is_kept(host: Host) -> None:
    """After a switch the file says the new profile; comments and the operator's own aliases stay."""
    await render(host.worker(), state(2, "balanced"))

    profile, aliases = host.said()
    assert profile == "balanced"
    assert aliases["classification"] == "classification_balanced"
    assert aliases["mine"] == "some_group"
    assert "# kept" in host.config.read_text()
    assert "# the operator's own" in host.config.read_text()


async def test_of_many_states_the_newest_wins(host: Host) -> None:
    """States that come in while one is being rendered end in the newest being in the file."""
    worker = host.worker()

    for revision in range(2, 12):
        worker.schedule(state(revision, "balanced" if revision % 2 else "premium"))
        await asyncio.sleep(0)
    await worker.idle()

    assert host.said()[0] == "balanced"


async def test_another_worker_of_the_host_does_not_render_again(host: Host) -> None:
    """The first worker leaves a mark; the second sees it and does not touch the file."""
    await render(host.worker(), state(2, "balanced"))
    before = host.config.stat().st_mtime_ns
    os.utime(host.config, ns=(before, before))

    await render(host.worker(), state(2, "balanced"))

    assert host.config.stat().st_mtime_ns == before


async def test_a_late_worker_does_not_put_an_older_state_back(host: Host) -> None:
    """A worker that comes late with an older revision leaves the newer one in the file."""
    await render(host.worker(), state(3, "balanced"))

    await render(host.worker(), state(2, "premium"))

    assert host.said()[0] == "balanced"


@pytest.mark.parametrize("revision", [1, 57, 58])
async def test_another_store_is_rendered_from_its_first_revision(host: Host, revision: int) -> None:
    """A new store counts anew: what it commits is newer than whatever the old one had, and older ones stay out."""
    await render(host.worker(), state(57, "premium", committed_at=10.0))

    await render(host.worker(), state(revision, "balanced", committed_at=20.0))
    await render(host.worker(), state(revision - 1, "premium", committed_at=19.0))

    assert host.said()[0] == "balanced"


async def test_a_file_that_was_replaced_is_rendered_again(host: Host) -> None:
    """A mark for bytes that are no longer there does not count: the next start heals the file."""
    await render(host.worker(), state(2, "balanced"))
    host.config.write_text(CONFIG + "# restored from a backup\n")

    await render(host.worker(), state(2, "balanced"))

    assert host.said()[0] == "balanced"


async def test_names_we_no_longer_own_are_removed_even_after_a_restart(host: Host) -> None:
    """A task alias that was dropped leaves the file: what we own is remembered beside it."""
    await render(host.worker(), state(2, "premium", extra_task="triage"))
    assert host.said()[1]["triage"] == "triage_premium"

    await render(host.worker(), state(3, "premium"))

    assert "triage" not in host.said()[1]


async def test_a_file_that_cannot_be_rendered_is_a_warning(host: Host) -> None:
    """Trouble is shown as a warning naming the file, and gone when the next rendering works."""
    worker = host.worker()
    host.config.write_text("model_list: [unclosed\n")

    await render(worker, state(2, "balanced"))
    assert worker.warning is not None
    assert "litellm_config.yaml" in worker.warning

    host.config.write_text(CONFIG)
    await render(worker, state(3, "balanced"))
    assert worker.warning is None


async def test_nothing_is_rendered_where_it_is_off(host: Host) -> None:
    """With rendering off the file keeps its bytes."""
    host.enabled = False

    await render(host.worker(), state(2, "balanced"))

    assert host.config.read_text() == CONFIG
