"""What ships, on a plain `litellm --config` without a master key: requests work, the admin API is closed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from admin_api.router import PREFIX, SECOND_PREFIX
from neuronode_router.domain.names import TASK_ALIASES
from tests.e2e.asking import answered_by, chat, decision
from tests.e2e.test_secrets import routes
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedPlace(Place):
    """The shipped configuration and profiles; only where the deployments are is changed."""

    def write(self) -> None:
        """Copy what ships, with every deployment answered by the fake provider under its group's name."""
        shutil.copytree(ROOT / "profiles", self.profiles)
        document = yaml.safe_load((ROOT / "litellm_config.yaml").read_text())
        for deployment in document["model_list"]:
            kept = {k: v for k, v in deployment["litellm_params"].items() if "timeout" in k}
            here = {"model": f"openai/{deployment['model_name']}", "api_base": f"{self.upstream}/v1"}
            deployment["litellm_params"] = {**kept, **here, "api_key": "none"}
        document["general_settings"].pop("master_key")
        document["general_settings"].update(self.general)
        self.config.write_text(yaml.safe_dump(document, sort_keys=False))

    def profile(self, name: str) -> dict[str, str]:
        """Return the shipped mappings of a profile."""
        found: dict[str, str] = yaml.safe_load((ROOT / "profiles" / f"{name}.yaml").read_text())["tasks"]
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> ShippedPlace:
    """The files of the open proxy."""
    general = {"dangerously_permit_weak_or_unset_master_key": True}
    return ShippedPlace(directory=tmp_path_factory.mktemp("shipped"), upstream=upstream.url, general=general)


@pytest.fixture(scope="module")
def client(place: ShippedPlace) -> Iterator[httpx.Client]:
    """A client without a key, on a proxy without a master key."""
    with Proxy(place, master_key=None) as proxy, proxy.client(None) as without_key:
        yield without_key


def test_every_task_is_answered_by_the_shipped_first_profile(
    place: ShippedPlace, client: httpx.Client
) -> None:
    """Each task alias of what ships leads to the group that its profile names."""
    answers = {task: chat(client, task) for task in TASK_ALIASES}

    served = {task: answered_by(answer) for task, answer in answers.items()}
    assert served == place.profile("premium")
    assert {decision(answer)["profile"] for answer in answers.values()} == {"premium"}


def test_no_profile_can_be_chosen_where_nobody_can_be_told_apart(client: httpx.Client) -> None:
    """Without a master key LiteLLM takes everybody for anybody: the override by name is refused."""
    assert chat(client, "@profile/balanced").status_code == 403


@pytest.mark.parametrize("prefix", [PREFIX, SECOND_PREFIX])
def test_the_admin_api_is_closed(client: httpx.Client, prefix: str) -> None:
    """Every admin route answers 503 with the fix, whatever key is sent."""
    answers = [
        client.request(method, prefix + path, json={"profile": "balanced"}, headers=headers)
        for _, method, path in routes()
        for headers in ({}, {"Authorization": "Bearer sk-guess"})
    ]

    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert all("LITELLM_MASTER_KEY" in answer.json()["fix"] for answer in answers)
