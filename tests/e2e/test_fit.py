"""What fits, through the real proxy: long prompts, images and continued responses, by name and by `auto`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.asking import answered_by, chat, decision
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e

SENTIMENT = "Wie ist die Stimmung in diesem Text, bullish oder bearish: der DAX steigt."
LONG = SENTIMENT + " Der Markt blieb ruhig." * 2000
PNG = "data:image/png;base64,iVBORw0KGgo="
NARROW = {"neuronode": {"context_window": 4096, "modalities": ["text"]}}
WIDE = {"neuronode": {"context_window": 100_000, "modalities": ["text", "image"]}}


class Limited(Place):
    """A place whose groups have small windows and read text only, but for the heaviest tier."""

    def _deployment(self, group: str) -> dict[str, Any]:
        entry = Place._deployment(self, group)
        return {
            **entry,
            "model_info": {**entry["model_info"], **(WIDE if group == "tier_complex" else NARROW)},
        }


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[httpx.Client]:
    """A client with the master key of a proxy of its own."""
    place = Limited(directory=tmp_path_factory.mktemp("limited"), upstream=upstream.url)
    with Proxy(place) as running, running.client() as client:
        yield client


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": LONG}]}),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "system", "content": LONG}, {"role": "user", "content": SENTIMENT}]},
        ),
        (
            "/v1/messages",
            {
                "max_tokens": 9,
                "system": [{"type": "text", "text": LONG}],
                "messages": [{"role": "user", "content": SENTIMENT}],
            },
        ),
        ("/v1/responses", {"instructions": LONG, "input": SENTIMENT}),
        ("/v1/completions", {"prompt": LONG}),
        (
            "/v1/chat/completions",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
                    {"role": "assistant", "content": "A chart."},
                    {"role": "user", "content": SENTIMENT},
                ]
            },
        ),
        (
            "/v1/responses",
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": PNG}]}]},
        ),
    ],
)
def test_auto_goes_where_a_request_fits(limited: httpx.Client, path: str, fields: dict[str, Any]) -> None:
    """What the light tiers cannot hold or see goes to the heaviest, wherever it stands in the request."""
    answer = limited.post(path, json={"model": "auto", **fields})

    assert "tier_complex" in answer.raise_for_status().text
    assert decision(answer)["tier"] == "complex"


@pytest.mark.parametrize("name", ["classification", "tier_fast", "auto:fast"])
def test_what_fits_nowhere_is_refused_before_anybody_is_asked(
    limited: httpx.Client, upstream: Upstream, name: str
) -> None:
    """A task, a group by its own name, and `auto` where even the heaviest tier is too small: 400, need and limit."""
    prompt, window = (LONG * 20, "100000") if name.startswith("auto") else (LONG, "4096")
    before = sum(counts["requests"] for counts in upstream.counts().values())

    answer = chat(limited, name, prompt=prompt)

    assert answer.status_code == 400
    assert window in answer.text
    assert "Markt" not in answer.text
    assert sum(counts["requests"] for counts in upstream.counts().values()) == before


def test_what_is_continued_goes_where_it_was_said(limited: httpx.Client) -> None:
    """A response of the heaviest tier is continued there, however light the next question is."""
    first = limited.post("/v1/responses", json={"model": "auto:complex", "input": "Hello"}).raise_for_status()

    again = limited.post(
        "/v1/responses",
        json={"model": "auto", "input": SENTIMENT, "previous_response_id": first.json()["id"]},
    )

    assert "tier_complex" in again.raise_for_status().text
    assert decision(again)["reason"] == "active_profile,continued"


def test_an_errand_about_a_hard_conversation_is_light(limited: httpx.Client) -> None:
    """A front end's request for a title goes to the lightest tier."""
    history = "USER: Entwickle eine Handelsstrategie mit Szenarien und Risiken.\nASSISTANT: Zuerst ...\n" * 9
    prompt = f"Generate a title of three to five words.\n<chat_history>\n{history}</chat_history>"

    answer = chat(limited, "auto", prompt=prompt)

    assert answered_by(answer) == "tier_fast"
