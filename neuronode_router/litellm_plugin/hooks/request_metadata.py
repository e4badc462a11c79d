"""The Decision as it travels with a LiteLLM request: written into its metadata, read back for headers and
logs.

What a client sends under our names never survives. Only names and numbers are written, never text of a
prompt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from neuronode_router.domain import header_values
from neuronode_router.domain.decisions import Decision, Reason
from neuronode_router.routing.conversations import Sent

KEY = "neuronode"
"""Our entry in LiteLLM's request metadata."""

LITELLMS = frozenset(
    {"metadata", "litellm_metadata", "proxy_server_request", "secret_fields", "litellm_logging_obj"}
)
"""Fields of a request that LiteLLM adds for itself."""

ASKED = "asked"
"""Entry of the mark: the id of the deployment that LiteLLM asked last."""

ASKED_AT = "asked_at"
"""Entry of the mark: its place, None where nobody can tell."""

WENT = "went"
"""Entry of the mark: the places of all deployments that were asked, in their order; None where nobody can tell."""

SIZE = "size"
"""Entry of the mark: how many tokens the request was estimated at when a deployment was chosen for it."""

HOPS = "hops"
"""Entry of the mark: how many fallbacks LiteLLM had gone through then."""

ATTEMPTED = "attempted_fallbacks"
"""Where LiteLLM counts fallbacks in its metadata."""

RIVAL = "rival"
"""Entry of the mark: the group whose answer the judge compares with that of a sampled request."""

DIVERTED = "diverted_from"
"""Entry of the mark: `label`, `tier` and `group` of a request that its text alone would have sent elsewhere."""

PLACES = "places"
"""Entry of the mark: where the judge may have the answers of a sampled request compared."""

MIRRORED = "mirrored"
"""Entry of the mark: under which number this worker knows a request that is to be answered once more."""

ANSWERS = "answers"
"""Entry of the mark: under which number this worker waits for the answer to one that it asks once more."""

CONVERSATION = "conversation"
"""Entry of the mark: by what the request is known among conversations."""

CALLER = "caller"
"""Entry of the mark: what the caller's key is called."""

MOVED = "moved"
"""Entry of the mark: what was taken out of the last attempt because another provider had written it."""

SEVERAL = "several"
"""Entry of the mark: the marks of each of several names, in their order."""

LEAST_BAD = "least_bad"
"""Entry of the mark: whether what no deployment can hold is sent all the same."""

PERSONAL = "personal-data"
"""Entry of the mark, and name of the header: kinds of personal data that were found under a profile's rule."""

REFUSED = "refused"
"""Name of the header that nothing but refusals of ours carry: what usage counts them as."""

ARM = "arm"
"""Entry of the mark: which arm of a rollout answers; None where the request takes no part in one."""

COMPARED = "compared"
"""Entry of the mark: whether the request counts in that rollout."""

SPEND_PREFIX = "neuronode_"
TAG_PREFIXES = ("profile:", "task:")
BUCKETS = ("litellm_metadata", "metadata")
WRITTEN = frozenset({*BUCKETS, "standard_logging_object", "proxy_server_request"})
"""Fields of a request that LiteLLM and we write: before LiteLLM has taken them out they are the client's own words."""
"""Where LiteLLM keeps request metadata: the first one present is in force (the newer endpoints use the
first).
"""

HEADER_PREFIX = "x-neuronode-"
PROFILE_HEADER = "x-neuronode-profile"
TIER_HEADER = "x-neuronode-tier"
"""Both may be sent by a client, as a wish; answers carry them too, as what was done."""
EXPLAIN_HEADER = "x-neuronode-explain"
"""A client asks by `1` for the whole decision; the answer carries it as JSON."""
RESPONSE_HEADERS = tuple(
    HEADER_PREFIX + name
    for name in (
        *("profile", "revision", "task", "tier", "group", "reason", "fallback", "embedded", "moved"),
        *("arm", "location", "explain"),
    )
)
"""What answers carry. `task`, `profile` and `tier` only where there is one, `fallback` only where it is known;
`embedded` only as 1; `moved` only where something was taken out; `arm` only while a rollout runs; `location` only where
somebody can tell; `explain` on request.
"""


def scrub(data: dict[str, Any]) -> dict[str, Any]:
    """Remove everything of ours that a client forged and return the metadata bucket that is in force."""
    for name in BUCKETS:
        bucket = data.get(name)
        if isinstance(bucket, dict):
            _scrub_bucket(bucket)
    name = BUCKETS[0] if BUCKETS[0] in data else BUCKETS[1]
    bucket = data.get(name)
    if not isinstance(bucket, dict):
        bucket = data[name] = {}
    return bucket


def _scrub_bucket(bucket: dict[str, Any]) -> None:
    bucket.pop(KEY, None)
    bucket.pop(ATTEMPTED, None)
    tags = bucket.get("tags")
    if isinstance(tags, list):
        bucket["tags"] = [tag for tag in tags if not (isinstance(tag, str) and tag.startswith(TAG_PREFIXES))]
    spend = bucket.get("spend_logs_metadata")
    if isinstance(spend, dict):
        bucket["spend_logs_metadata"] = {
            key: value for key, value in spend.items() if not str(key).startswith(SPEND_PREFIX)
        }


def stamp(
    bucket: dict[str, Any],
    decision: Decision,
    *,
    tags: bool,
    routed: Mapping[str, Any] | None = None,
) -> None:
    """Write `decision` where LiteLLM's logs, spend rows and our header hook find it.

    With `tags` the request also carries `profile:` and `task:` tags, so that LiteLLM's spend reports can
    group by them. They are left out where tag routing is on, because there a tag would choose deployments.
    `routed` is what else an `auto` request carries along (see `routed_mark`).
    """
    bucket[KEY] = _mark(decision, routed)
    _label(bucket, decision.profile, decision.task, decision.revision, tags=tags)


def stamp_all(
    bucket: dict[str, Any], ways: Sequence[tuple[Decision, Mapping[str, Any] | None]], *, tags: bool
) -> None:
    """Write all Decisions of a request as `stamp` writes one. Of several, the mark says what they have in common, and
    under `SEVERAL` what it says of each.
    """
    if len(ways) == 1:
        decision, routed = ways[0]
        stamp(bucket, decision, tags=tags, routed=routed)
        return
    each = [_mark(decision, routed) for decision, routed in ways]
    first = each[0]
    alike = {key: value for key, value in first.items() if all(mark.get(key) == value for mark in each)}
    unlike: dict[str, Any] = {"group": None, "tier": None, "profile": None, "task": None, "steps": []}
    name = ",".join(mark["name"] for mark in each)
    bucket[KEY] = unlike | {"reason": Reason.SEVERAL.value} | alike | {"name": name, SEVERAL: each}
    _label(bucket, bucket[KEY]["profile"], None, first["revision"], tags=tags)


def _mark(decision: Decision, routed: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "revision": decision.revision,
        "profile": decision.profile,
        "task": decision.task,
        "tier": decision.tier,
        "group": decision.group,
        "name": decision.original_model,
        "reason": decision.reason.value,
        "steps": [step.value for step in decision.steps],
        **({} if decision.arm is None else {ARM: decision.arm.value}),
        **(routed or {}),
    }


def _label(
    bucket: dict[str, Any], profile: str | None, task: str | None, revision: int, *, tags: bool
) -> None:
    """Write what LiteLLM's spend reports group by."""
    if profile is None:
        return
    spend = bucket.get("spend_logs_metadata")
    bucket["spend_logs_metadata"] = {
        **(spend if isinstance(spend, dict) else {}),
        f"{SPEND_PREFIX}profile": profile,
        f"{SPEND_PREFIX}task": task,
        f"{SPEND_PREFIX}revision": revision,
    }
    if tags:
        present = bucket.get("tags")
        bucket["tags"] = [
            *(present if isinstance(present, list) else ()),
            f"profile:{profile}",
            *([f"task:{task}"] if task is not None else ()),
        ]


def routed_mark(
    decision: Decision,
    *,
    sessions: Sequence[bytes] = (),
    explanation: Mapping[str, Any] | None = None,
    rival: str | None = None,
    diverted: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what an `auto` request carries through retries and fallbacks: names, numbers and hashes."""
    return {
        "tiers": dict(zip((decision.group, *decision.ladder), decision.tiers, strict=False)),
        "overloaded": decision.tier is not decision.wanted,
        "confidence": decision.confidence,
        "keep": decision.keep,
        "sessions": [session.hex() for session in sessions],
        "explain": explanation,
        RIVAL: rival,
        DIVERTED: diverted,
    }


def mark_fail_open(data: Mapping[str, Any]) -> None:
    """Say in the answer's headers that admission failed and LiteLLM alone routed the request. Never raises."""
    for name in BUCKETS:
        bucket = data.get(name)
        if isinstance(bucket, dict):
            bucket[KEY] = {"reason": Reason.FAIL_OPEN.value}
            return


def stamped(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what `stamp` or `mark_fail_open` wrote into this request, None where admission was not asked."""
    for name in BUCKETS:
        bucket = data.get(name)
        if isinstance(bucket, dict | Mapping) and KEY in bucket:
            mark: Mapping[str, Any] | None = bucket[KEY]
            return mark
    return None


def note_asked(request: Mapping[str, Any], deployment_id: str, place: str | None) -> None:
    """Note in the mark, which all hooks of a request share, whom LiteLLM is about to ask, and where. Never raises."""
    mark = stamped(request)
    if isinstance(mark, dict) and mark:
        mark[ASKED], mark[ASKED_AT] = deployment_id, place
        for each in (mark, *mark.get(SEVERAL, ())):  # of several, whose attempt it is cannot be told
            went = each.setdefault(WENT, [])
            if place not in went:
                went.append(place)
        hops = [bucket.get(ATTEMPTED) for name in BUCKETS if isinstance(bucket := request.get(name), Mapping)]
        mark[HOPS] = max((count for count in hops if isinstance(count, int)), default=0)


def note_size(request: Mapping[str, Any], tokens: int) -> None:
    """Note in the mark how large the request is, where that is known. Never raises."""
    mark = stamped(request)
    if tokens and isinstance(mark, dict) and mark:
        mark[SIZE] = tokens


def note_moved(request: Mapping[str, Any], names: Iterable[str]) -> None:
    """Note in the mark what was taken out for the attempt that begins. Never raises."""
    mark = stamped(request)
    if isinstance(mark, dict) and mark:
        mark[MOVED] = sorted(names)


def conversation(data: Mapping[str, Any]) -> Sent | None:
    """Return by what the request is known among conversations, None where it belongs to none."""
    known = (stamped(data) or {}).get(CONVERSATION)
    return None if known is None else Sent(*known)


def asked(data: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the deployment that was asked last and its place, None where our hooks saw none, or those of several."""
    mark = stamped(data) or {}
    return (None, None) if SEVERAL in mark else (mark.get(ASKED), mark.get(ASKED_AT))


def sessions(data: Mapping[str, Any]) -> list[bytes]:
    """Return the session keys that this request carries, as `routed_mark` wrote them."""
    mark = stamped(data)
    return [bytes.fromhex(session) for session in (mark or {}).get("sessions", ())]


def counted_arm(mark: Mapping[str, Any]) -> str:
    """Return the arm as usage counts it: `_begun` marks what was placed under another share and is not compared."""
    arm = mark.get(ARM)
    if not arm:
        return ""
    return str(arm) if mark.get(COMPARED) else f"{arm}_begun"


def session_id(data: Mapping[str, Any]) -> str | None:
    """Return the session that a client names: by header, `litellm_session_id`, or `session_id` of its metadata."""
    places = ((data, "litellm_session_id"), *((data.get(name), "session_id") for name in BUCKETS))
    # A body may say anything there; failing on it would lead past a cap.
    given = (place.get(key) for place, key in places if isinstance(place, dict | Mapping))
    return next((name for name in given if isinstance(name, str) and name), None)


def wish(data: Mapping[str, Any], header: str) -> str | None:
    """Return what the client's request says in one of our headers, or None."""
    request = data.get("proxy_server_request")
    headers = request.get("headers") if isinstance(request, dict | Mapping) else None
    wanted = headers.get(header) if isinstance(headers, dict | Mapping) else None
    return wanted if isinstance(wanted, str) else None


def _left(mark: Mapping[str, Any], served: str, *, meant: str | None, attempted: int | None) -> bool | None:
    """Return whether another group answered than a name of the operator's leads to; None where nobody knows."""
    if meant is not None:
        return served != meant
    hops = mark.get(HOPS) if attempted is None else attempted
    return None if hops is None else hops > 0


def sent_body(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the body as it came in, None where LiteLLM has kept none."""
    request = data.get("proxy_server_request")
    body = request.get("body") if isinstance(request, dict | Mapping) else None
    return body if isinstance(body, dict | Mapping) else None


def client_body(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields that the client wrote, without those that LiteLLM and we have added since."""
    body = sent_body(data)
    return {k: v for k, v in data.items() if k not in LITELLMS} if body is None else body


def answer_headers(
    data: Mapping[str, Any],
    *,
    group: str | None,
    embedded: bool,
    attempted: int | None = None,
    means: Callable[[str], str | None] = lambda _: None,
    location: str | None = None,
) -> dict[str, str]:
    """Return our response headers for one request, with the location of the deployment that answered.

    `group` is the model group that answered (None when nobody did). A fallback is another group than the one
    admission chose, or another tier than the one it wanted. A name that is none of ours leads to the group that it
    `means`; where only LiteLLM can tell, as with wildcards, `attempted`, its count of fallbacks, tells, else the count
    at the last attempt that we saw. Of several names between commas nothing is said that differs.
    """
    mark = stamped(data)
    if not mark:
        return _embedded(embedded)
    if mark["reason"] == Reason.FAIL_OPEN:
        return {HEADER_PREFIX + "reason": mark["reason"]} | _embedded(embedded)
    if SEVERAL in mark:
        return _of_several(mark, group) | _embedded(embedded)
    served = group or mark["group"]
    moved: bool | None = served != mark["group"] or mark.get("overloaded", False)
    if moved and mark["reason"] == Reason.PASSTHROUGH:
        moved = _left(mark, served, meant=means(mark["group"]), attempted=attempted)
    tier = mark.get("tiers", {}).get(served, mark["tier"])
    headers = {
        HEADER_PREFIX + "revision": str(mark["revision"]),
        HEADER_PREFIX + "reason": ",".join((mark["reason"], *mark["steps"])),
    }
    if moved is not None:
        headers[HEADER_PREFIX + "fallback"] = "1" if moved else "0"
    said = {"profile": mark["profile"], "task": mark["task"], "tier": tier, "group": served or None}
    said |= {ARM: mark.get(ARM), PERSONAL: mark.get(PERSONAL), "location": location}
    for name, value in said.items():
        if value is not None:
            headers[HEADER_PREFIX + name] = header_values.written(str(value))
    if mark.get(MOVED):
        headers[HEADER_PREFIX + MOVED] = ",".join(mark[MOVED])
    if mark.get("explain"):
        headers[EXPLAIN_HEADER] = json.dumps(mark["explain"], separators=(",", ":"))
    return headers | _embedded(embedded)


def _of_several(mark: Mapping[str, Any], group: str | None) -> dict[str, str]:
    said = {"revision": mark.get("revision"), "group": group, "profile": mark["profile"]}
    found = {
        HEADER_PREFIX + name: header_values.written(str(value))
        for name, value in said.items()
        if value is not None
    }
    return found | {HEADER_PREFIX + "reason": ",".join((mark["reason"], *mark["steps"]))}


def _embedded(embedded: bool) -> dict[str, str]:
    return {HEADER_PREFIX + "embedded": "1"} if embedded else {}
