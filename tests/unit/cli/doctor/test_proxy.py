"""What a running proxy is examined for, on a real one and on answers that it could give."""

from __future__ import annotations

import copy
import json
from contextlib import nullcontext
from typing import Any

import httpx
import pytest

from neuronode_router.cli.doctor.proxy import examine
from neuronode_router.cli.http import Connection
from tests.unit.cli.conftest import Remote, Terminal

WORKER = {
    "instance": "w1", "host": "host-1", "pid": 7, "version": "0.1.0", "live": True, "revision": 4, "detail": "",
    "report": {"wake": "inotify", "drifts": 0, "failures": 0},
}  # fmt: skip
WELL: dict[str, Any] = {
    "ready": True, "revision": 4, "converged": True, "workers": [WORKER], "problems": [], "warnings": [],
    "embedded_groups": [], "host": {"litellm": "1.106.2"},
}  # fmt: skip


def found(status: dict[str, Any], *, without_key: int = 401) -> list[str]:
    """The codes of what a proxy with this status is told."""

    def answer(request: httpx.Request) -> httpx.Response:
        if "authorization" not in request.headers:
            return httpx.Response(without_key)
        return httpx.Response(200, json=status)

    client = httpx.Client(
        base_url="http://proxy.test",
        transport=httpx.MockTransport(answer),
        headers={"Authorization": "Bearer x"},
    )
    return [finding.code for finding in examine(nullcontext(Connection(client)))]


def test_a_proxy_that_is_well_has_no_finding() -> None:
    """Otherwise people stop reading."""
    assert found(WELL) == []


def worker(**changes: Any) -> dict[str, Any]:
    """A second worker."""
    return {**WORKER, "instance": "w2", "pid": 8, **changes}


PLACE = {"code": "unknown_group", "message": "No.", "fix": "Yes.", "file": "premium.yaml", "line": 3}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ready": False}, "not_ready"),
        ({"problems": [PLACE]}, "unknown_group"),
        ({"warnings": ["rendering failed"]}, "warning"),
        ({"embedded_groups": ["tier_fast"]}, "embedded_groups"),
        (
            {"converged": False, "workers": [WORKER, worker(revision=3, detail="refused: no group")]},
            "workers_lag",
        ),
        ({"workers": [WORKER, worker(version="0.0.9")]}, "versions_differ"),
        ({"workers": [WORKER, worker(host="host-2")]}, "no_wake_up"),
        ({"workers": [worker(report={"drifts": 3})]}, "alias_drift"),
        ({"workers": [worker(report={"failures": 1})]}, "admission_failures"),
        ({"host": {"litellm": "1.82.8"}}, "compromised_litellm"),
        ({"host": {"litellm": "1.50.0"}}, "unsupported_litellm"),
    ],
)
def test_what_a_proxy_says_of_itself_is_judged(changes: dict[str, Any], code: str) -> None:
    """One finding for each thing that is wrong."""
    assert found({**copy.deepcopy(WELL), **changes}) == [code]


@pytest.mark.parametrize(("status", "code"), [(200, "open_proxy"), (500, "no_prisma")])
def test_a_caller_without_a_key_is_looked_at(status: int, code: str) -> None:
    """Anything but a refusal is wrong."""
    assert found(WELL, without_key=status) == [code]


def test_workers_that_are_woken_through_redis_are_left_alone() -> None:
    """Several hosts are no trap then."""
    report = {"wake": "inotify+redis"}

    assert found({**WELL, "workers": [worker(report=report), worker(host="host-2", report=report)]}) == []


def test_a_member_s_status_is_judged_as_far_as_it_goes() -> None:
    """Everything that is null for this key is passed over."""
    hidden = dict.fromkeys(("converged", "workers", "problems", "warnings", "host"))

    assert found({**WELL, **hidden}) == []


def test_the_doctor_asks_a_running_proxy(
    remote: Remote, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy without /v1/models refuses it, as one with a key does; the profiles' own problems are found."""
    (remote.world.profiles / "premium.yaml").write_text("tasks: 3")
    config = remote.world.profiles.parent / "litellm_config.yaml"
    config.write_text("model_list: []\n")

    outcome = neuronode("doctor", "--online", "--json", "--no-reach", "--config", config)

    assert outcome.code == 1
    assert json.loads(outcome.out)["problems"] >= 1


def test_a_proxy_that_is_away_is_a_problem_among_others(
    neuronode: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """What was found on paper is still shown."""
    (tmp_path / "litellm_config.yaml").write_text("model_list: []\n")
    monkeypatch.setenv("LITELLM_API_KEY", "sk-x")

    outcome = neuronode("doctor", "--online", "--no-reach", "--json", "--url", "http://127.0.0.1:9")

    codes = {finding["code"] for finding in json.loads(outcome.out)["findings"]}
    assert outcome.code == 1
    assert {"unreachable", "no_master_key", "missing_balanced"} <= codes


@pytest.mark.parametrize(
    ("key", "url"), [("", "http://127.0.0.1:9"), ("schlüssel", "http://127.0.0.1:9"), ("sk-x", "127.0.0.1:9")]
)
def test_a_proxy_that_cannot_be_asked_is_a_problem_among_others(
    key: str, url: str, neuronode: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Without a key, with one that no header carries, or without an address: what was found on paper is still shown."""
    (tmp_path / "litellm_config.yaml").write_text("model_list: []\n")
    monkeypatch.setenv("LITELLM_API_KEY", key)

    outcome = neuronode("doctor", "--online", "--no-reach", "--json", "--url", url)

    assert outcome.code == 1
    codes = {finding["code"] for finding in json.loads(outcome.out)["findings"]}
    assert {"bad_settings", "missing_balanced"} <= codes


@pytest.mark.parametrize("name", sorted({*WELL} - {"revision"}))
def test_a_proxy_of_another_version_is_a_finding(name: str) -> None:
    """Whatever its status does not say."""
    status = copy.deepcopy(WELL)
    del status[name]

    assert found(status) == ["not_offered"]
