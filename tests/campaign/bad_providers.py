"""Providers that do everything wrong, and clients that ask them: groups of their own, which nobody else asks.

It must not know the faults of servers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import httpx

from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

GONE = "nobody-listens"

WRONGS: Mapping[str, str] = {
    "wrong-500": "fail-500",
    "wrong-429": "fail-429",
    "wrong-400": "fail-400",
    "wrong-401": "fail-401",
    "wrong-stream": "break-stream",
    "wrong-body": "break-body",
    "wrong-json": "break-json",
    "wrong-slow": "words-20-pause-100",
    "wrong-endless": "words-9999-pause-50",
    "wrong-gone": GONE,
}
"""Groups, and what the name of their deployment has the provider do."""

ONLY_STREAMS = frozenset({"wrong-slow", "wrong-endless", "wrong-stream"})
"""What is wrong with them is wrong with streams: a whole answer of theirs is right."""

PATIENCE_SECONDS = 5.0
"""After so long a client leaves."""
ANSWER_SECONDS = 20.0
"""After so long every request has ended: one that was not left by its client was answered."""
NOBODY = "http://127.0.0.1:9"
"""An address at which connections are refused."""


def deployments(provider: str) -> list[dict[str, Any]]:
    """Return the entries of the model list."""
    return [
        {
            "model_name": group,
            "litellm_params": {
                "model": f"openai/{group}-{order}",
                "api_base": (NOBODY if order == GONE else provider) + "/v1",
                "api_key": "sk-none",
            },
        }
        for group, order in WRONGS.items()
    ]


def misbehave(proxies: Sequence[Proxy], provider: Upstream) -> list[str]:
    """Ask every one of them at every proxy, plain and streamed; return a sentence for each request that hung, that was
    answered with what nobody said, or not at all, and for each group of which the provider has never heard.
    """
    asked = list(product(proxies, WRONGS, (False, True)))
    with ThreadPoolExecutor(len(asked)) as threads:
        found = [sentence for sentence in threads.map(lambda each: _ask(*each), asked) if sentence]
    counts = provider.counts()
    names = {group: f"{group}-{order}" for group, order in WRONGS.items() if order != GONE}
    return [
        *found,
        *(f"nobody asked the provider of {group}" for group, name in names.items() if name not in counts),
    ]


def _ask(proxy: Proxy, group: str, stream: bool) -> str:
    began, told, said = time.monotonic(), "nothing", False
    body = {"model": group, "stream": stream, "messages": [{"role": "user", "content": "Say who you are."}]}
    try:
        with proxy.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
            told = str(answer.status_code)
            for _ in answer.iter_bytes():
                said = True
                if time.monotonic() - began > PATIENCE_SECONDS:
                    break
    except httpx.HTTPError as error:
        told = type(error).__name__
    took = time.monotonic() - began
    if took > ANSWER_SECONDS:
        return f"a request to {group} took {took:.0f} s, and ended with {told}"
    right = "200" if group in ONLY_STREAMS else told if told.isdecimal() and told != "200" else "an error"
    if not stream and told != right:
        return f"a request to {group} was answered with {told} instead of {right}"
    if stream and group in ONLY_STREAMS and not (told == "200" and said):
        return f"a stream of {group} began with {told} and said {'something' if said else 'nothing'}"
    return ""
