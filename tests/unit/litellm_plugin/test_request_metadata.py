"""What travels with a request: written by us, never by the client."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from neuronode_router.domain.decisions import Decision, Reason, Step
from neuronode_router.domain.names import Tier
from neuronode_router.domain.rollouts import Arm
from neuronode_router.litellm_plugin.hooks import request_metadata

DECISION = Decision(
    original_model="classification",
    group="classification_premium",
    reason=Reason.ACTIVE_PROFILE,
    revision=12,
    profile="premium",
    task="classification",
)
FORGED = {
    "neuronode": {"profile": "premium", "revision": 99},
    "tags": ["profile:ultra_fast", "task:chat", "billing:x", 7],
    "spend_logs_metadata": {"neuronode_profile": "ultra_fast", "project": "p"},
}

AUTOMATIC = replace(
    DECISION,
    group="middle",
    auto=True,
    tier=Tier.MEDIUM,
    wanted=Tier.COMPLEX,
    ladder=("small",),
    tiers=(Tier.MEDIUM, Tier.FAST),
    steps=(Step.CLASSIFIED, Step.OVERLOADED),
    confidence=0.9,
)


def headers(
    data: dict[str, Any], group: str | None = None, *, embedded: bool = False, location: str | None = None
) -> dict[str, str]:
    return request_metadata.answer_headers(data, group=group, embedded=embedded, location=location)


@pytest.mark.parametrize("bucket", ["metadata", "litellm_metadata"])
def test_forged_marks_do_not_survive(bucket: str) -> None:
    """Our entry, tags and spend fields sent by a client are removed; everything else stays."""
    data: dict[str, Any] = {"model": "x", bucket: {**FORGED, "own": 1}}

    kept = request_metadata.scrub(data)

    assert kept == {"tags": ["billing:x", 7], "spend_logs_metadata": {"project": "p"}, "own": 1}


def test_both_buckets_are_scrubbed_whichever_is_in_force() -> None:
    """A forgery in the bucket that LiteLLM does not use is removed too, and the newer bucket is the one used."""
    data: dict[str, Any] = {"metadata": dict(FORGED), "litellm_metadata": {}}

    bucket = request_metadata.scrub(data)

    assert bucket is data["litellm_metadata"]
    assert "neuronode" not in data["metadata"]


def test_the_stamp_reaches_tags_spend_and_headers() -> None:
    """One decision shows as tags, as spend metadata and as response headers, beside what was there before."""
    data: dict[str, Any] = {"metadata": {"tags": ["billing:x"], "spend_logs_metadata": {"project": "p"}}}

    request_metadata.stamp(request_metadata.scrub(data), DECISION, tags=True)

    assert data["metadata"]["tags"] == ["billing:x", "profile:premium", "task:classification"]
    assert data["metadata"]["spend_logs_metadata"] == {
        "project": "p",
        "neuronode_profile": "premium",
        "neuronode_task": "classification",
        "neuronode_revision": 12,
    }
    assert headers(data, "classification_premium") == {
        "x-neuronode-revision": "12",
        "x-neuronode-group": "classification_premium",
        "x-neuronode-reason": "active_profile",
        "x-neuronode-fallback": "0",
        "x-neuronode-profile": "premium",
        "x-neuronode-task": "classification",
    }


def test_tags_are_left_out_where_they_would_choose_deployments() -> None:
    """With LiteLLM's tag routing on, the request carries no tags of ours."""
    data: dict[str, Any] = {"metadata": {}}

    request_metadata.stamp(request_metadata.scrub(data), DECISION, tags=False)

    assert "tags" not in data["metadata"]
    assert data["metadata"]["spend_logs_metadata"]["neuronode_profile"] == "premium"


def test_another_group_that_answered_is_a_fallback() -> None:
    """Where LiteLLM's own fallback answered, the header names that group and says so."""
    data: dict[str, Any] = {"metadata": {}}
    request_metadata.stamp(request_metadata.scrub(data), DECISION, tags=True)

    answered = headers(data, "tier_medium", embedded=True)

    assert (answered["x-neuronode-group"], answered["x-neuronode-fallback"]) == ("tier_medium", "1")
    assert answered["x-neuronode-embedded"] == "1"


def test_a_passthrough_says_so_and_names_no_profile() -> None:
    """A concrete group named by the client carries no profile, no tags and no spend fields of ours."""
    data: dict[str, Any] = {"metadata": {}}
    passed = Decision(original_model="gpt", group="gpt", reason=Reason.PASSTHROUGH, revision=3)

    request_metadata.stamp(request_metadata.scrub(data), passed, tags=True)

    assert headers(data) == {
        "x-neuronode-revision": "3",
        "x-neuronode-group": "gpt",
        "x-neuronode-reason": "passthrough",
        "x-neuronode-fallback": "0",
    }
    assert set(data["metadata"]) == {"neuronode"}


def test_a_failed_admission_is_visible_and_a_call_that_was_not_asked_about_is_not() -> None:
    """`fail_open` marks requests that LiteLLM alone routed; calls we never touch get no header of ours."""
    failed: dict[str, Any] = {"metadata": {}}
    request_metadata.mark_fail_open(failed)

    assert headers(failed) == {"x-neuronode-reason": "fail_open"}
    assert headers({"metadata": {}}) == {}
    assert headers({}, embedded=True) == {"x-neuronode-embedded": "1"}


def test_every_header_is_in_the_published_list() -> None:
    """What `answer_headers` can emit is exactly what RESPONSE_HEADERS publishes."""
    data: dict[str, Any] = {"metadata": {}}
    mark = request_metadata.routed_mark(AUTOMATIC, explanation={"tier": "medium"})
    tried = replace(AUTOMATIC, arm=Arm.CANARY)
    request_metadata.stamp(request_metadata.scrub(data), tried, tags=True, routed=mark)
    request_metadata.note_moved(data, {"thinking_blocks", "seed"})

    assert headers(data)["x-neuronode-moved"] == "seed,thinking_blocks"
    assert set(headers(data, embedded=True, location="local")) == set(request_metadata.RESPONSE_HEADERS)


def test_an_automatic_decision_tells_its_steps_and_what_was_wanted() -> None:
    """Overload moved it from complex to medium: that is a fallback, with every reason in order."""
    data: dict[str, Any] = {"metadata": {}}
    request_metadata.stamp(
        request_metadata.scrub(data), AUTOMATIC, tags=False, routed=request_metadata.routed_mark(AUTOMATIC)
    )

    said = headers(data)

    assert said["x-neuronode-reason"] == "active_profile,classified,overloaded"
    assert (said["x-neuronode-tier"], said["x-neuronode-fallback"]) == ("medium", "1")


def test_a_fallback_of_litellm_carries_the_tier_that_answered() -> None:
    """Where the next group of the ladder answered, its tier is shown and not the first one's."""
    data: dict[str, Any] = {"metadata": {}}
    request_metadata.stamp(
        request_metadata.scrub(data), AUTOMATIC, tags=False, routed=request_metadata.routed_mark(AUTOMATIC)
    )

    said = request_metadata.answer_headers(data, group="small", embedded=False)

    assert (said["x-neuronode-group"], said["x-neuronode-tier"]) == ("small", "fast")


def test_the_sessions_travel_with_the_request() -> None:
    """What the stamp carries is what the headers hook reads back; other requests carry none."""
    data: dict[str, Any] = {"metadata": {}}
    request_metadata.stamp(
        request_metadata.scrub(data),
        AUTOMATIC,
        tags=False,
        routed=request_metadata.routed_mark(AUTOMATIC, sessions=[b"ab"]),
    )

    assert request_metadata.sessions(data) == [b"ab"]
    assert request_metadata.sessions({"metadata": {}}) == []


@pytest.mark.parametrize(
    ("request_facts", "wanted"),
    [
        ({"headers": {"x-neuronode-profile": "balanced"}}, "balanced"),
        ({"headers": {}}, None),
        ({"headers": None}, None),
        (None, None),
    ],
)
def test_the_clients_wish_is_read_from_its_headers(request_facts: Any, wanted: str | None) -> None:
    """The request header is the only place a wish is read from; odd shapes mean no wish."""
    assert (
        request_metadata.wish({"proxy_server_request": request_facts}, request_metadata.PROFILE_HEADER)
        == wanted
    )


@pytest.mark.parametrize(("attempted", "said"), [(0, "0"), (1, "1"), (None, None)])
def test_where_an_operators_alias_led_litellm_tells_whether_it_fell_back(
    attempted: int | None, said: str | None
) -> None:
    """Another group behind a name that is none of ours is no fallback by itself, and nothing is guessed."""
    data: dict[str, Any] = {"metadata": {}}
    passed = Decision(original_model="house", group="house", reason=Reason.PASSTHROUGH, revision=3)
    request_metadata.stamp(request_metadata.scrub(data), passed, tags=True)

    told = request_metadata.answer_headers(data, group="gpt", embedded=False, attempted=attempted)

    assert told["x-neuronode-group"] == "gpt"
    assert told.get("x-neuronode-fallback") == said


@pytest.mark.parametrize("attempted", [0, 1, None])
@pytest.mark.parametrize(("served", "said"), [("gpt", "0"), ("rescue", "1")])
def test_where_the_name_leads_is_known_the_group_tells(served: str, attempted: int | None, said: str) -> None:
    """A group, an alias of the operator's, a deployment's id: whatever LiteLLM counts on this wire."""
    data: dict[str, Any] = {"metadata": {}}
    passed = Decision(original_model="house", group="house", reason=Reason.PASSTHROUGH, revision=3)
    request_metadata.stamp(request_metadata.scrub(data), passed, tags=True)

    told = request_metadata.answer_headers(
        data, group=served, embedded=False, attempted=attempted, means={"house": "gpt"}.get
    )

    assert told["x-neuronode-fallback"] == said


def test_a_request_without_a_task_has_no_tag_of_one() -> None:
    """An `auto` request is tagged with its profile alone."""
    data: dict[str, Any] = {"metadata": {}}

    request_metadata.stamp(request_metadata.scrub(data), replace(AUTOMATIC, task=None), tags=True)

    assert data["metadata"]["tags"] == ["profile:premium"]
