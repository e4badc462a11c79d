"""Two workers of a real proxy, with LiteLLM's own prometheus and otel callbacks on: exact counts, and named spans."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neuronode_router.access import Role, generate_key
from tests.e2e.asking import chat, decision
from tests.support.alerting import Scrapes, firing, needs_promtool
from tests.support.metering import requests_of, value
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.servers import runs, wait_until
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CANARY = "canary-2c81d0"
ASKED = {"classification": 12, "auto": 6, "chat": 9}
VIEWER, VIEWER_ENTRY = generate_key("prometheus", role=Role.VIEWER)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Proxy]:
    """Both workers count into one directory; LiteLLM's spans are printed into the log."""
    directory: Path = tmp_path_factory.mktemp("metrics")
    place = Place(
        directory=directory, upstream=upstream.url, keys=(VIEWER_ENTRY,), callbacks=("prometheus", "otel")
    )
    (directory / "shared").mkdir()
    environ = {
        "PROMETHEUS_MULTIPROC_DIR": str(directory / "shared"),
        "OTEL_EXPORTER": "console",
        "OTEL_SERVICE_NAME": "proxy",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "no_content",
    }
    with Proxy(place, workers=2, environ=environ) as running:
        yield running


@pytest.fixture(scope="module")
def at_first(proxy: Proxy) -> bytes:
    """What the proxy tells before anybody has asked it anything."""
    wait_until(lambda: value(scrape(proxy), "workers", state="current") == 2, seconds=30, what="both workers")
    return scrape(proxy)


@pytest.fixture(scope="module")
def answered(proxy: Proxy, at_first: bytes) -> list[dict[str, str]]:
    """What answers said of themselves, over connections to both workers."""
    found = []
    for name, count in ASKED.items():
        for _ in range(count):
            with proxy.client() as client:  # a new connection each: either worker may take it
                answer = chat(client, name, prompt=f"Who are you? {CANARY}")
            assert answer.status_code == 200, answer.text
            found.append(decision(answer))
    return found


def scrape(proxy: Proxy) -> bytes:
    """Return our metrics as a viewer reads them."""
    with proxy.client(VIEWER) as client:
        answer = client.get("/admin/metrics")
    assert answer.status_code == 200, answer.text
    return answer.content


def test_whichever_worker_is_asked_the_counts_are_those_of_the_answers(
    proxy: Proxy, answered: list[dict[str, str]]
) -> None:
    """Exactly: by profile, task, tier, group and reason, added up over both workers."""
    wait_until(
        lambda: requests_of(scrape(proxy)) == len(answered), seconds=30, what="every request to be counted"
    )
    expected = Counter(
        (
            each["profile"],
            each.get("task", ""),
            each.get("tier", ""),
            each["group"],
            each["reason"].split(",")[0],
        )
        for each in answered
    )

    for text in (scrape(proxy) for _ in range(6)):
        for (profile, task, tier, group, reason), count in expected.items():
            labels = {"profile": profile, "task": task, "tier": tier, "group": group, "reason": reason}
            assert value(text, "requests_total", **labels, outcome="answered") == count
        assert value(text, "workers", state="current") == 2
        assert value(text, "metrics_shared") == 1
        assert value(text, "decision_seconds_count") == ASKED["auto"]
        assert b"litellm_" not in text
        assert CANARY.encode() not in text


def test_litellms_own_page_stays_and_shows_both(proxy: Proxy, answered: list[dict[str, str]]) -> None:
    """With shared files LiteLLM's page holds ours too: the scrape example takes them once."""
    with proxy.client() as client:
        answer = client.get("/metrics/")

    assert answer.status_code == 200
    assert "litellm_requests_metric" in answer.text or "litellm_proxy_total_requests_metric" in answer.text
    assert "neuronode_requests_total" in answer.text


def test_litellms_span_says_how_the_request_was_routed(proxy: Proxy, answered: list[dict[str, str]]) -> None:
    """One span per request, LiteLLM's own, with what the answer's headers say."""
    keys = ("profile", "task", "tier", "group", "reason")
    expected = Counter(tuple(each.get(key) for key in keys) for each in answered)

    def told() -> Counter[tuple[str | None, ...]]:
        found = (
            span["attributes"] for span in spans(proxy.log()) if "neuronode.profile" in span["attributes"]
        )
        return Counter(tuple(_said(each, key) for key in keys) for each in found)

    wait_until(lambda: expected <= told(), seconds=30, what="the spans of all requests")


def test_that_span_follows_the_conventions_for_generative_ai(
    proxy: Proxy, answered: list[dict[str, str]]
) -> None:
    """Beside our attributes stand OpenTelemetry's: provider, requested and answering model, tokens."""
    wanted = {"provider.name", "request.model", "response.model", "usage.input_tokens"}

    def told() -> list[dict[str, Any]]:
        found = (span["attributes"] for span in spans(proxy.log()))
        return [each for each in found if "neuronode.group" in each and "gen_ai.usage.output_tokens" in each]

    wait_until(lambda: len(told()) >= len(answered), seconds=30, what="the spans of all requests")
    for each in told():
        assert {name for name in wanted if f"gen_ai.{name}" not in each} == set()
        assert CANARY not in json.dumps(each)


@needs_promtool
def test_no_alert_fires_on_this_proxy(
    proxy: Proxy, at_first: bytes, answered: list[dict[str, str]], tmp_path: Path
) -> None:
    """Neither before nor after its first requests: all is well here."""
    wait_until(
        lambda: requests_of(scrape(proxy)) == len(answered), seconds=30, what="every request to be counted"
    )

    found = firing(tmp_path, Scrapes(at_first, scrape(proxy)))

    assert {minute: alerts for minute, alerts in found.items() if alerts} == {}


def test_a_killed_worker_takes_nothing_away(proxy: Proxy, answered: list[dict[str, str]]) -> None:
    """Its counts stay, and those who are left count on: its successor takes LiteLLM up to two minutes."""
    wait_until(
        lambda: requests_of(scrape(proxy)) == len(answered), seconds=30, what="every request to be counted"
    )
    killed = proxy.worker_processes()[0]
    killed.kill()
    wait_until(lambda: not runs(killed), seconds=20, what="its end")

    assert requests_of(scrape(proxy)) == len(answered)
    with proxy.client() as client:
        assert chat(client, "chat").status_code == 200
    wait_until(lambda: requests_of(scrape(proxy)) == len(answered) + 1, seconds=30, what="one more")


def _said(attributes: dict[str, Any], key: str) -> str | None:
    """Return what a span says, in the words of the header: there the reason has the steps behind it."""
    if key == "reason":
        return ",".join([attributes["neuronode.reason"], *attributes.get("neuronode.steps", ())])
    said: str | None = attributes.get(f"neuronode.{key}")
    return said


def spans(log: str) -> Iterator[dict[str, Any]]:
    """Yield the spans that the console exporter wrote, each a JSON object over several lines."""
    reader, at = json.JSONDecoder(), log.find("{\n")
    while at >= 0:
        try:
            found, end = reader.raw_decode(log, at)
        except ValueError:
            found, end = None, at + 1
        if isinstance(found, dict) and "attributes" in found:
            yield found
        at = log.find("{\n", end)
