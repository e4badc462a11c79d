"""`auto` falls from one provider to another, each in a wire of its own: OpenAI, then Anthropic, then Gemini."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.asking import chat, decision
from tests.support import wire
from tests.support.place import FIRST_PROFILE, PROVIDER_KEY, Place
from tests.support.proxy import Proxy
from tests.support.servers import wait_until
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e

OPENAI, ANTHROPIC, GEMINI = "gpt-fail-503", "claude-fail-529", "flash"
"""Groups by the name that the provider is asked for: the first two fail for good."""
LADDER = {OPENAI: f"openai/{OPENAI}", ANTHROPIC: f"anthropic/{ANTHROPIC}", GEMINI: f"gemini/{GEMINI}"}
WORDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudPlace(Place):
    """The heaviest tier of the first profile has three groups of three providers."""

    def write(self) -> None:
        """Write everything, and that tier."""
        Place.write(self)
        file = self.profiles / f"{FIRST_PROFILE}.yaml"
        document = yaml.safe_load(file.read_text())
        document["tiers"]["complex"] = [*LADDER]
        file.write_text(yaml.safe_dump(document, sort_keys=False))

    def _config(self) -> dict[str, Any]:
        config = Place._config(self)
        config["model_list"] += [self._at_provider(group, name) for group, name in LADDER.items()]
        return config

    def _at_provider(self, group: str, name: str) -> dict[str, Any]:
        base = {OPENAI: f"{self.upstream}/v1", ANTHROPIC: self.upstream, GEMINI: f"{self.upstream}/v1beta"}
        return {
            "model_name": group,
            "litellm_params": {"model": name, "api_base": base[group], "api_key": PROVIDER_KEY},
            "model_info": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
        }


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    """A fake provider whose counts nobody else moves."""
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, provider: Upstream) -> Iterator[httpx.Client]:
    """A client of a proxy whose books are flushed often."""
    place = CloudPlace(directory=tmp_path_factory.mktemp("clouds"), upstream=provider.url)
    environ = {"NEURONODE_USAGE_FLUSH_SECONDS": "0.2"}
    with Proxy(place, environ=environ) as proxy, proxy.client() as found:
        yield found


def used(client: httpx.Client) -> tuple[int, ...]:
    """Return requests and tokens of prompts and answers that the books have for the last group."""
    lines = client.get("/admin/usage", params={"by": "served_group"}).raise_for_status().json()["lines"]
    figures: dict[str, int] = next(
        (line["figures"] for line in lines if line["names"]["served_group"] == GEMINI), {}
    )
    return tuple(figures.get(name, 0) for name in ("requests", "prompt_tokens", "completion_tokens"))


@pytest.mark.parametrize("stream", [False, True])
def test_the_last_of_three_providers_answers(
    client: httpx.Client, provider: Upstream, *, stream: bool
) -> None:
    """Two fail in their own words, the third answers; its tokens reach client and books, and nobody is asked twice."""
    before, booked = provider.counts(), used(client)
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}

    answer = chat(client, "auto:complex", prompt=f"words-{WORDS} hello", **options)

    assert answer.raise_for_status().text.count(GEMINI) >= WORDS
    told = decision(answer)
    assert (told["group"], told["tier"], told["fallback"]) == (GEMINI, "complex", "1")
    after = provider.counts()
    asked = {name: after[name]["requests"] - before[name]["requests"] for name in LADDER}
    assert asked == dict.fromkeys(LADDER, 1)
    tokens = (wire.PROMPT_TOKENS, WORDS)
    wait_until(
        lambda: used(client) == (booked[0] + 1, booked[1] + tokens[0], booked[2] + tokens[1]),
        what="the tokens in the books",
    )
    if not stream:
        usage = answer.json()["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == tokens


@pytest.mark.parametrize("group", [OPENAI, ANTHROPIC, GEMINI])
def test_a_provider_obeys_a_header_that_the_client_sends_along(client: httpx.Client, group: str) -> None:
    """`extra_headers` reach every provider: what the fake is told there goes before its name."""
    answer = chat(client, group, extra_headers={"x-fake": "fail-429"}, num_retries=0)

    assert answer.status_code == 429
