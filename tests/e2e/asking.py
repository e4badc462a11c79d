"""Requests that end-to-end tests send, and the decision headers of an answer."""

from __future__ import annotations

from typing import Any

import httpx

PREFIX = "x-neuronode-"


def chat(client: httpx.Client, name: str, *, prompt: str = "Who are you?", **fields: Any) -> httpx.Response:
    """Send one chat request; `headers` may be given, all other fields go into the body."""
    headers = fields.pop("headers", {})
    body = {"model": name, "messages": [{"role": "user", "content": prompt}], **fields}
    return client.post("/v1/chat/completions", json=body, headers=headers)


def answered_by(answer: httpx.Response) -> str:
    """Return the name of the deployment that wrote a chat answer. Raises for an error."""
    text: str = answer.raise_for_status().json()["choices"][0]["message"]["content"]
    return text.split()[0]


def decision(answer: httpx.Response) -> dict[str, str]:
    """Return our response headers without their prefix."""
    found = {name: value for name, value in answer.headers.items() if name.startswith(PREFIX)}
    return {name.removeprefix(PREFIX): value for name, value in found.items()}
