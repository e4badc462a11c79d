"""Requests to a LiteLLM proxy, over whatever httpx client it is given: a network, or the application itself.

It must not know tasks. Errors carry the status that came back and never its text, which can quote keys and prompts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx

from neuronode_router.domain import header_values
from neuronode_router.domain.names import TIERS, Tier
from neuronode_router.errors import (
    CompletionFailed,
    HoldsPersonalData,
    LeavesResidency,
    NeuronodeError,
    NotAllowed,
    NotAuthenticated,
)
from neuronode_router.tasks.answer_form import CUT
from neuronode_router.tasks.confidence import TokenLogprob
from neuronode_router.tasks.engine import Ask, TaskAnswer
from neuronode_router.tasks.reticence import Reticence

CHAT_PATH = "/v1/chat/completions"
LIST_PATH = "/v1/models"
EXPLAIN = {"x-neuronode-explain": "1"}
"""Asks for the decision in a header of the answer."""
REFUSED = "x-neuronode-refused"
"""Says as what usage counts a refusal of the proxy's admission; a provider's has it not."""
NOBODY_LEFT = "No deployments available for selected model"
"""How LiteLLM's 429 begins where it has taken out every deployment, and asked none."""
PERSONAL_DATA = "x-neuronode-personal-data"

_TIERS: Mapping[str, Tier] = {tier.value: tier for tier in TIERS}


class Completions:
    """`Complete` over an httpx client whose headers carry the key.

    `reticence` may outlive it: what was found out is not asked again.
    """

    def __init__(self, client: httpx.AsyncClient, *, reticence: Reticence | None = None) -> None:
        self._client = client
        self._reticence = Reticence(time.monotonic) if reticence is None else reticence

    async def __call__(self, ask: Ask) -> TaskAnswer:
        """Return the answer. Raises `CompletionFailed`, `NotAuthenticated` or `NotAllowed`.

        Where a provider refuses a request for logprobs, it is asked once more without.
        """
        began = time.perf_counter()
        response = await self._asked(ask)
        _require_success(response, ask.name)
        try:
            return _answer(response, latency_ms=1000 * (time.perf_counter() - began))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(ask.name) from error

    async def listed(self) -> frozenset[str]:
        """Return the names that the key may ask. Raises like a chat request."""
        response = await self._sent(self._client.build_request("GET", LIST_PATH), LIST_PATH)
        _require_success(response, LIST_PATH)
        try:
            return frozenset(str(entry["id"]) for entry in response.json()["data"])
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(LIST_PATH) from error

    async def _asked(self, ask: Ask) -> httpx.Response:
        if not ask.logprobs:
            return await self._chat(ask)
        without = replace(ask, logprobs=False)
        if self._reticence.expected(ask.name):
            response = await self._chat(without)
        else:
            response = await self._chat(ask)
            if _is_providers_refusal(response):
                group, response = _group(response.headers), await self._chat(without)
                if response.is_success:
                    self._reticence.refused(group)
        self._reticence.answered(ask.name, _group(response.headers))
        return response

    async def _chat(self, ask: Ask) -> httpx.Response:
        request = self._client.build_request("POST", CHAT_PATH, json=_body(ask), headers=EXPLAIN)
        return await self._sent(request, ask.name)

    async def _sent(self, request: httpx.Request, asked: str) -> httpx.Response:
        try:
            return await self._client.send(request)
        except httpx.TimeoutException as error:
            raise _failed(asked, 504) from error
        except httpx.HTTPError as error:
            raise _failed(asked, 503) from error


def _require_success(response: httpx.Response, asked: str) -> None:
    if not response.is_success:
        raise _refusal(asked, response)


def _is_providers_refusal(response: httpx.Response) -> bool:
    """Whether a provider refused a request for what it says: admitted ones have a reason, and ours carry `REFUSED`."""
    headers = response.headers
    return response.status_code == 400 and REFUSED not in headers and "x-neuronode-reason" in headers


def _body(ask: Ask) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": ask.name,
        "messages": list(ask.messages),
        "max_tokens": ask.max_tokens,
        "temperature": ask.temperature,
        # A deployment that knows no logprobs or schemas is asked without them.
        "drop_params": True,
    }
    if ask.logprobs:
        body["logprobs"] = True
    if ask.json_schema is not None:
        shape = {"name": "answer", "schema": dict(ask.json_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    return body


def _answer(response: httpx.Response, *, latency_ms: float) -> TaskAnswer:
    body: dict[str, Any] = response.json()
    choice = _first(body["choices"])
    said = _object(choice, "message").get("content")
    headers = response.headers
    decision = _decision(headers.get("x-neuronode-explain"))
    return TaskAnswer(
        text=_whole_characters(said if isinstance(said, str) else ""),
        model_used=_group(headers) or str(body.get("model") or ""),
        latency_ms=latency_ms,
        cut=choice.get("finish_reason") == CUT,
        tokens_generated=_count(_object(body, "usage").get("completion_tokens")),
        tokens=_tokens(_object(choice, "logprobs").get("content")),
        tier=_TIERS.get(headers.get("x-neuronode-tier", "")),
        wanted=_TIERS.get(decision.get("wanted", "")),
        fallback=headers.get("x-neuronode-fallback") == "1",
        reason=headers.get("x-neuronode-reason", ""),
        task=decision.get("task"),
        confidence=decision.get("confidence"),
        routing_ms=decision.get("took_ms"),
        call_id=headers.get("x-litellm-call-id"),
    )


def _group(headers: Mapping[str, str]) -> str:
    return header_values.read(headers.get("x-neuronode-group", ""))


def _whole_characters(text: str) -> str:
    """Return `text` with "?" for each half of a character, which JSON can carry and nothing else."""
    return text.encode("utf-8", "replace").decode()


def _decision(explained: str | None) -> Mapping[str, Any]:
    """Return the decision of an `auto` name; nothing where there is none, or where another one was in force."""
    decision = json.loads(explained) if explained else {}
    return decision if decision.get("in_force") else {}


def _first(choices: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the first choice; without one nothing was said."""
    return choices[0] if choices else {}


def _object(node: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an entry that is an object, or an empty one: no answer is lost for what stands beside it."""
    found = node.get(key)
    return found if isinstance(found, Mapping) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _tokens(content: object) -> tuple[TokenLogprob, ...]:
    """Return the tokens and what they are worth; none where one of them cannot be read."""
    if not isinstance(content, list):
        return ()
    try:
        return tuple(TokenLogprob(str(token["token"]), float(token["logprob"])) for token in content)
    except (ValueError, KeyError, TypeError, OverflowError):
        return ()


def _unreadable(asked: str) -> CompletionFailed:
    return CompletionFailed(
        "completion_failed",
        f"What answered the request to {asked!r} is not what this path answers with.",
        fix="See what stands at that address, and what its deployment answers.",
        status=200,
    )


def _nobody_left(asked: str, retry_after: str | None) -> CompletionFailed:
    code, fix = _KINDS[503]
    told = f"Every deployment behind {asked!r} is taken out for a while after errors; none was asked."
    return CompletionFailed(code, told, fix=fix, status=429, retry_after=retry_after)


def _refusal(asked: str, response: httpx.Response) -> NeuronodeError:
    """Tell a refusal of the proxy from a failure behind it: of what was admitted only ours carry `REFUSED`."""
    status, retry_after = response.status_code, response.headers.get("retry-after")
    if _error(response, "type") == "budget_exceeded":
        return _failed(asked, 429)
    if status == 429 and _error(response, "message").startswith(NOBODY_LEFT):
        return _nobody_left(asked, retry_after)
    refused = response.headers.get(REFUSED)
    if refused is not None or "x-neuronode-reason" not in response.headers:
        if status == 401:
            return NotAuthenticated("The proxy does not know this key.")
        if status == 403:
            return _denied(asked, refused, kinds=response.headers.get(PERSONAL_DATA, ""))
    return _failed(asked, status, retry_after=retry_after)


def _denied(asked: str, why: str | None, *, kinds: str) -> NotAllowed:
    if why == "refused_personal_data":
        return HoldsPersonalData(
            f"The request to {asked!r} holds personal data ({kinds}), and a rule of the profile, the key or its team "
            "keeps that from where it would go.",
            fix="Take it out of the inputs, or have the profile name a group on the own machines.",
            kinds=[kind for kind in kinds.split(",") if kind],
        )
    if why == "refused_residency":
        return LeavesResidency(
            f"Nothing that {asked!r} leads to is where the data of this request must stay.",
            fix="Have the profile name a group that is; docs/residency.md says what counts.",
        )
    return NotAllowed(
        f"This key may not ask {asked!r}.",
        fix=f"Have {asked!r} added to the models of the key or its team, or their max_tier raised.",
    )


def _error(response: httpx.Response, key: str) -> str:
    try:
        return str(response.json()["error"][key])
    except (ValueError, KeyError, TypeError):
        return ""


def _failed(asked: str, status: int, *, retry_after: str | None = None) -> CompletionFailed:
    code, fix = _KINDS.get(status) or (
        _REFUSED if 400 <= status < 500 and status not in {401, 403} else _BROKEN
    )
    return CompletionFailed(
        code,
        f"The request to {asked!r} ended with status {status}.",
        fix=fix,
        status=status,
        retry_after=retry_after,
    )


_REFUSED = (
    "completion_refused",
    "Check the name against GET /api/v1/llm/models and the length of the input against its context window; "
    "the proxy's log has the provider's words.",
)
_BROKEN = ("completion_failed", "Look into the proxy's log, which has the provider's words.")
_TIMED_OUT = ("completion_timeout", "Try again, or have the deployment's timeout raised.")
_KINDS: Mapping[int, tuple[str, str]] = {
    408: _TIMED_OUT,
    429: (
        "completion_limited",
        "Wait as Retry-After says, or have the limit or budget of the key or the provider raised.",
    ),
    503: ("completion_unavailable", "Try again; GET /api/v1/llm/models says what is available."),
    504: _TIMED_OUT,
}
