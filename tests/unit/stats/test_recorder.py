"""What the recorder counts, how it forgets, and that nothing makes it grow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.stats.evidence import Attempt, Ending, Evidence
from neuronode_router.stats.memory import tallies_of
from neuronode_router.stats.recorder import LONGEST_ATTEMPT_SECONDS, Recorder
from neuronode_router.stats.summary import DeploymentStats, summarise
from neuronode_router.stats.tally import merge
from neuronode_router.stats.window import MAX_DEPLOYMENTS, SLOT_SECONDS, WINDOW_SLOTS
from tests.support.clock import Clock

tallies = st.dictionaries(st.sampled_from(["answers", "errors", "total.3", "first.9"]), st.integers(1, 999))


def stats_of(recorder: Recorder, deployment_id: str = "a") -> DeploymentStats:
    return summarise(
        deployment_id,
        tallies_of(recorder.window.slots),
        newest=recorder.window.newest,
        in_flight=recorder.depths.get(deployment_id, 0),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(clock: Clock) -> Recorder:
    return Recorder(clock=clock)


def test_answers_and_errors_are_summarised(recorder: Recorder) -> None:
    """Total time, time to the first token, tokens per second and error rate come from their own samples."""
    for _ in range(3):
        recorder.record("a", Attempt(total_ms=1200, first_token_ms=200, tokens=50))
    recorder.record("a", Attempt(total_ms=10, status=503))

    window = stats_of(recorder).window

    assert (window.requests, window.errors, window.error_rate) == (4, 1, 0.25)
    assert window.total.p50_ms == pytest.approx(1200, rel=0.05)
    assert window.first_token.p95_ms == pytest.approx(200, rel=0.05)
    assert window.tokens_per_second == pytest.approx(50)


def test_plain_answers_have_no_first_token(recorder: Recorder) -> None:
    """Time to the first token is never made up from answers that were not streamed."""
    recorder.record("a", Attempt(total_ms=1000, tokens=100))

    window = stats_of(recorder).window

    assert (window.first_token.samples, window.first_token.p50_ms) == (0, None)
    assert window.tokens_per_second == pytest.approx(100)


def test_a_long_answer_does_not_look_slow(recorder: Recorder) -> None:
    """1,600 tokens in 20 s after a first token at 100 ms are, for 16 tokens, 300 ms."""
    recorder.record("a", Attempt(total_ms=20_100, first_token_ms=100, tokens=1600))

    assert stats_of(recorder).recent.short_answer.p50_ms == pytest.approx(300, rel=0.05)


def test_a_queue_makes_a_long_answer_look_slow(recorder: Recorder) -> None:
    """The wait before the first token is not shortened."""
    recorder.record("a", Attempt(total_ms=30_000, first_token_ms=10_000, tokens=1600))

    assert stats_of(recorder).recent.short_answer.p50_ms == pytest.approx(10_200, rel=0.05)


def test_a_burst_of_tiny_time_outs_changes_nothing(recorder: Recorder) -> None:
    """Time-outs of clients, aborts, wrong requests and cold loads leave the statistics as they are."""
    recorder.record("a", Attempt(total_ms=200))
    before = stats_of(recorder)

    for _ in range(500):
        for poison in (
            Attempt(total_ms=1, status=0, ending=Ending.CLIENT_TIMEOUT),
            Attempt(total_ms=1, status=0, ending=Ending.CLIENT_LEFT),
            Attempt(total_ms=1, status=400),
            Attempt(total_ms=36_000, cold=True),
        ):
            assert recorder.record("a", poison) is Evidence.NONE

    assert stats_of(recorder) == before


def test_counts_are_forgotten_by_time(recorder: Recorder, clock: Clock) -> None:
    """A thousand samples are forgotten as fast as one: recent after 20 s, all after five minutes."""
    for _ in range(1000):
        recorder.record("a", Attempt(total_ms=5000))

    clock.now += 2 * SLOT_SECONDS
    later = stats_of(recorder)
    clock.now += (WINDOW_SLOTS - 2) * SLOT_SECONDS
    much_later = stats_of(recorder)

    assert (later.recent.requests, later.window.requests) == (0, 1000)
    assert much_later.window.requests == 0


@given(st.lists(st.floats(-3600, 3600), max_size=60))
def test_memory_is_bounded_whatever_the_clock_does(steps: list[float]) -> None:
    """Slots outside the window are dropped, also when the clock was set back."""
    clock = Clock()
    recorder = Recorder(clock=clock)

    for step in steps:
        clock.now += step
        recorder.record("a", Attempt(total_ms=10))

        assert len(recorder.window.slots) <= WINDOW_SLOTS
        assert stats_of(recorder).recent.requests > 0


def test_made_up_deployments_are_not_counted_without_end(recorder: Recorder) -> None:
    """Beyond the limit new deployment ids are ignored; those known are still counted."""
    for number in range(MAX_DEPLOYMENTS + 50):
        recorder.begin(f"attempt-{number}", f"deployment-{number}")
        recorder.record(f"deployment-{number}", Attempt(total_ms=10))

    assert len(next(iter(recorder.window.slots.values()))) == len(recorder.depths) == MAX_DEPLOYMENTS
    assert recorder.record("deployment-0", Attempt(total_ms=10)) is Evidence.ANSWER


def test_depth_follows_the_attempts(recorder: Recorder) -> None:
    """Ending twice, or without beginning, does no harm; a retry under the same id leaves the first deployment."""
    recorder.begin("1", "a")
    recorder.begin("2", "a")
    recorder.begin("2", "b")
    recorder.end("unknown")

    assert recorder.depths == {"a": 1, "b": 1}

    recorder.end("1")
    recorder.end("1")
    assert recorder.depths == {"b": 1}


def test_attempts_whose_end_was_lost_are_over_in_the_end(recorder: Recorder, clock: Clock) -> None:
    """A leak in the host does not mark a deployment as busy for ever."""
    recorder.begin("lost", "a")
    clock.now += LONGEST_ATTEMPT_SECONDS - 1
    recorder.begin("running", "a")
    clock.now += 1

    recorder.forget_lost()

    assert recorder.depths == {"a": 1}


@given(st.lists(st.tuples(st.sampled_from("be"), st.sampled_from("1234"), st.sampled_from("ab"))))
def test_depth_is_the_number_of_attempts_that_run(steps: list[tuple[str, str, str]]) -> None:
    """Whatever the order of beginnings and ends, the depth is that of a plain list of attempts."""
    recorder = Recorder(clock=Clock())
    running: dict[str, str] = {}

    for step, attempt, deployment in steps:
        if step == "b":
            recorder.begin(attempt, deployment)
            running[attempt] = deployment
        else:
            recorder.end(attempt)
            running.pop(attempt, None)

    assert dict(recorder.depths) == {
        name: list(running.values()).count(name) for name in set(running.values())
    }


@given(tallies, tallies, tallies)
def test_tallies_add_up(a: dict[str, int], b: dict[str, int], c: dict[str, int]) -> None:
    """Merging is associative and commutative."""
    assert merge([merge([a, b]), c]) == merge([a, merge([b, c])])
    assert merge([a, b]) == merge([b, a])


def test_an_empty_answer_is_counted_and_has_no_speed(recorder: Recorder) -> None:
    """Zero tokens and zero milliseconds are counted, and give no speed."""
    recorder.record("a", Attempt(total_ms=0.0))

    assert stats_of(recorder).window.tokens_per_second is None
    assert stats_of(recorder).window.total.samples == 1
