"""What a campaign excuses, and that nothing is no success."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.campaign.bad_providers import GONE, WRONGS, misbehave
from tests.campaign.course import Campaign
from tests.campaign.faults import Site, Window
from tests.campaign.judging import nothing_done
from tests.campaign.soak import Size, growth
from tests.support.history import History, Seen, Switched
from tests.support.proxy import Proxy

DOWN = Window(since=100, until=130, ended=True)
CROWDED = Window(since=100, until=130, ended=False)


def site(window: Window | None = None) -> Site:
    """Return a proxy that was meant not to answer for a while."""
    found = Site(Mock(), Mock(), Mock(), Mock(history=History(1, "premium", {})), Path())
    found.down += [window] if window else []
    return found


def failed(sent_at: float, ended_at: float, status: int = 0) -> Seen:
    """Return a request that was not answered in full."""
    return Seen("chat", sent_at, sent_at, status, False, "", -1, "", (), ended_at)


@pytest.mark.parametrize(
    ("window", "seen", "excused"),
    [
        (DOWN, failed(90, 99.9), False),
        (DOWN, failed(40, 101, 200), True),
        (DOWN, failed(110, 110), True),
        (DOWN, failed(129, 135), True),
        (DOWN, failed(130.1, 131), False),
        (DOWN, failed(110, 110, 500), False),
        (CROWDED, failed(110, 110, 500), True),
        (CROWDED, failed(41, 42, 500), False),
    ],
)
def test_only_what_was_under_way_meanwhile_is_excused(window: Window, seen: Seen, excused: bool) -> None:
    """Not what failed before and after; and a proxy that has ended tells nobody of an error."""
    assert site(window).excuses(seen) is excused


def test_a_campaign_in_which_nothing_was_done_is_no_success() -> None:
    """Neither answers nor receipts at one of its proxies: nothing was held to any promise there."""
    idle, busy = site(), site()
    busy.driver.history.requests.append(Seen("chat", 1, 2, 200, True, "premium", 1, "g", ("g",), 2))
    busy.driver.history.switches.append(Switched("premium", 2, 1, 2, complete=True))

    found = list(nothing_done(Campaign([busy, idle], Mock(), Mock(), 0.1, "")))

    assert found == ["nobody got a whole answer of proxy 1", "nobody got a full receipt of proxy 1"]


@pytest.mark.parametrize(
    ("sizes", "grown"),
    [
        ([], ["too short to tell what grows"]),
        ([(400, 30, 20)] * 9, []),
        ([(400, 30, 20)] * 3 + [(500, 50, 40)] * 6, []),
        ([(400, 30, 20)] * 6 + [(440, 30, 20)] * 3, ["memory mb grew from 400.0 to 440.0"]),
        ([(400, 30, 20)] * 6 + [(400, 40, 20)] * 3, ["handles grew from 30.0 to 40.0"]),
    ],
)
def test_a_soak_says_what_did_not_stay_flat(
    sizes: list[tuple[float, float, float]], grown: list[str]
) -> None:
    """From its middle on: at the beginning everything is filled for the first time."""
    assert growth([Size(*each, database_mb=number) for number, each in enumerate(sizes)]) == grown


class _Refusing(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Know no path."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Crowded(http.server.ThreadingHTTPServer):
    request_queue_size = 128


@pytest.fixture
def refusing() -> Iterator[Proxy]:
    """Something that is no proxy."""
    with _Crowded(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Proxy(Mock(), port=server.server_port)
        server.shutdown()


def test_bad_providers_that_nobody_asked_are_told(refusing: Proxy) -> None:
    """A campaign whose groups do not exist has tried nothing."""
    found = misbehave([refusing], Mock(counts=dict))

    assert {sentence.rpartition(" ")[2] for sentence in found if "nobody asked" in sentence} == {
        group for group, order in WRONGS.items() if order != GONE
    }
    assert any("wrong-slow" in sentence and "404" in sentence for sentence in found)


def test_a_proxy_that_is_not_there_is_told() -> None:
    """Whoever gets no answer at all has not met a bad provider."""
    found = misbehave([Proxy(Mock(), port=9)], Mock(counts=lambda: WRONGS))

    assert sum("ConnectError" in sentence for sentence in found) >= len(WRONGS)
