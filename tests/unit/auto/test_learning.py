"""A worker that learns: decisions are written down without text, weights are taken up while it runs."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from neuronode_router.access import Principal, Role
from neuronode_router.auto import history_writer
from neuronode_router.auto import learning as learning_module
from neuronode_router.auto.history_writer import DecisionRecorder
from neuronode_router.auto.learning import DAY_SECONDS, PURGES, RETRY_SECONDS, Learning
from neuronode_router.auto.router import AutoRouter, Caller
from neuronode_router.background import Failures
from neuronode_router.classifier import Classifier, Layer, weights
from neuronode_router.classifier.artefacts import POINTER, ArtefactStore
from neuronode_router.classifier.history import MOST_PURGED, Counts, Entry, FeedbackOutcome, History, Sign
from neuronode_router.domain.names import Tier
from neuronode_router.domain.profiles import HostFacts, Profile, ProfileSet
from neuronode_router.domain.state import ControlState
from neuronode_router.errors import HistoryUnavailable, UnknownCall
from neuronode_router.routing.admit import admit
from neuronode_router.routing.snapshot import build_snapshot
from neuronode_router.settings import Settings
from tests.support.biased import PROMPT, write_biased
from tests.support.waiting import eventually

CANARY = "Zebrafink-4711"
TEXT = f"Fasse den Bericht über {CANARY} ausführlich zusammen."
TIERS = MappingProxyType({Tier.FAST: ("small",), Tier.MEDIUM: ("middle",), Tier.COMPLEX: ("large",)})
PROFILE = Profile("balanced", "", "low", "good", tasks={"chat": "middle"}, tiers=TIERS)
SNAPSHOT = build_snapshot(
    ControlState(3, "balanced", ProfileSet({"balanced": PROFILE}), committed_at=0.0),
    HostFacts(groups=frozenset({"small", "middle", "large"})),
)
ADMIN, MEMBER = Principal("boss", Role.ADMIN), Principal("app", Role.MEMBER)


def settings(directory: Path, **variables: str) -> Settings:
    return Settings.load(
        {"NEURONODE_STATE_DIR": str(directory / "state"), "NEURONODE_HISTORY": "on"} | variables
    )


class Worker:
    """The Learning and the AutoRouter of one worker."""

    def __init__(self, directory: Path, *, shadow: bool = False, **variables: str) -> None:
        self.failures = Failures()
        self.learning = Learning(settings(directory, **variables), failures=self.failures)
        self.recorder = self.learning.recorder
        self.auto = AutoRouter(
            classifier=self.learning.first(),
            statuses=dict,
            mode="shadow" if shadow else "on",
            watchers=[self.recorder] if self.recorder else [],
        )
        self.history = History(directory / "state")
        self.store = ArtefactStore(directory / "state")

    def ask(
        self, text: str, *, call_id: object = "call-1", identity: str = "app", name: str = "auto"
    ) -> None:
        decision = admit(SNAPSHOT, name, wanted_profile=None, may_override=lambda _: True)
        body = {"messages": [{"role": "user", "content": text}], "litellm_call_id": call_id}
        self.auto.route(decision, body, snapshot=SNAPSHOT, caller=Caller(identity))

    def put(self, label: str) -> None:
        """Put weights in use that say one label, as `neuronode train` does."""
        with self.store.workplace() as made:
            write_biased(made, label)
            self.store.install(made, now=5.0)

    async def refresh(self) -> str:
        """Take up what there is and return what is then said of a prompt without clear cues."""
        await self.learning.refresh(self.auto.use)
        said = self.auto.classify(PROMPT)
        return said.detail or said.task.value


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start workers on one state directory; all are stopped at the end."""
    started: list[Worker] = []

    def begin(**options: str) -> Worker:
        started.append(Worker(tmp_path, **options))  # type: ignore[arg-type]
        started[-1].learning.start()
        return started[-1]

    yield begin
    for worker in started:
        worker.learning.stop()


def bytes_in(directory: Path) -> bytes:
    """Return everything that lies in a directory, names included."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return b"".join(str(path).encode() + path.read_bytes() for path in files)


async def test_a_decision_is_written_down_without_its_text(
    start: Callable[..., Worker], tmp_path: Path
) -> None:
    """Features, cues of ours, label, tier and place; no word of the prompt anywhere on the disk."""
    worker = start()

    worker.ask(TEXT)
    await eventually(lambda: worker.history.find("call-1"))

    ((_, entry),) = worker.history.find("call-1")
    assert (entry.caller, entry.label, entry.sent_to, entry.text) == ("app", "summary", "large", None)
    assert (entry.tier, entry.wanted) == (Tier.COMPLEX, Tier.COMPLEX)
    assert entry.features.row.size > 100
    assert "harder: ausfuehrlich*" in entry.cues
    worker.learning.stop()
    stored = bytes_in(tmp_path)
    assert [word for word in ("zebrafink", "Zebrafink", "4711", "bericht") if word.encode() in stored] == []


async def test_text_is_kept_only_where_prompts_are_sampled(start: Callable[..., Worker]) -> None:
    """With sampling what was read is kept, as the classifier read it, and the status warns of it."""
    worker = start(NEURONODE_SAMPLE_PROMPTS="1", NEURONODE_HISTORY_DAYS="3")

    worker.ask(TEXT)
    await eventually(lambda: worker.history.find("call-1"))

    ((_, entry),) = worker.history.find("call-1")
    assert entry.text is not None
    assert CANARY.lower() in entry.text.replace("0000", "4711")
    (warning,) = worker.learning.warnings()
    assert "100.00%" in warning
    assert "3 days" in warning


async def test_in_shadow_mode_it_is_told_where_the_request_really_went(start: Callable[..., Worker]) -> None:
    """What was wanted and what was used differ while automatic routing is only watched."""
    worker = start(shadow=True)

    worker.ask(TEXT)
    await eventually(lambda: worker.history.find("call-1"))

    ((_, entry),) = worker.history.find("call-1")
    assert (entry.wanted, entry.sent_to) == (Tier.COMPLEX, "middle")


async def test_only_what_was_classified_by_its_words_is_kept(start: Callable[..., Worker]) -> None:
    """Forced tiers, empty turns and calls without an id teach nothing."""
    worker = start()

    worker.ask(TEXT, name="auto:fast", call_id="forced")
    worker.ask("  ", call_id="empty")
    worker.ask(TEXT, call_id=None)
    worker.ask(TEXT, call_id="x" * 1000)
    worker.ask(TEXT, call_id="last")
    await eventually(lambda: worker.history.find("last"))

    assert worker.history.counts() == Counts(1, 0, 0)


def test_off_keeps_nothing_and_runs_no_thread(tmp_path: Path) -> None:
    """The default costs nothing: no file, no thread, no watcher."""
    threads = threading.active_count()
    worker = Worker(tmp_path, NEURONODE_HISTORY="off")
    worker.learning.start()

    worker.ask(TEXT)

    assert worker.learning.recorder is None
    assert threading.active_count() == threads
    assert not worker.history.path.exists()
    worker.learning.stop()


async def test_outcomes_reach_the_decision(start: Callable[..., Worker]) -> None:
    """An escalation that is told right after the request finds it, though both still wait to be written."""
    worker = start()
    assert worker.recorder is not None

    worker.ask(TEXT)
    worker.recorder.outcome("call-1", FeedbackOutcome.LABEL_FAILURE, callers=("somebody else",))
    worker.recorder.outcome("call-1", FeedbackOutcome.ESCALATED, callers=("app",))
    worker.recorder.outcome("never seen", FeedbackOutcome.LABEL_FAILURE, callers=("app",))
    await eventually(lambda: worker.history.find("call-1") and worker.history.counts().judged)

    ((entry, signs),) = worker.history.judged(worker.history.find("call-1")[0][1].scheme)
    assert (entry.call_id, [sign.kind for sign in signs]) == ("call-1", [FeedbackOutcome.ESCALATED])


class StuckHistory(History):
    """A history on a disk that hangs until told otherwise."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.moves = threading.Event()
        self.asked = threading.Event()

    def add(self, entries: Sequence[Entry]) -> None:
        """Wait as long as the disk does."""
        self.asked.set()
        self.moves.wait(20)
        super().add(entries)


def test_a_stuck_disk_drops_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the disk: what does not fit is counted, and the rest is written when it moves again."""
    monkeypatch.setattr(history_writer, "WAITING", 3)
    monkeypatch.setattr(history_writer, "BATCH", 1)
    history = StuckHistory(tmp_path)
    recorder = DecisionRecorder(history, sampled=0, failures=Failures())
    worker = Worker(tmp_path, NEURONODE_HISTORY="off")
    worker.auto = AutoRouter(classifier=worker.learning.first(), statuses=dict, watchers=[recorder])
    recorder.start()

    worker.ask(TEXT, call_id="stuck")
    assert history.asked.wait(10)
    for number in range(5):
        worker.ask(TEXT, call_id=f"call-{number}")

    assert recorder.dropped == 2
    history.moves.set()
    recorder.stop()
    assert history.counts() == Counts(4, 0, 0)


async def test_a_disk_that_fails_is_survived(start: Callable[..., Worker]) -> None:
    """What cannot be written is counted and told; the next decision is written again."""
    worker = start()
    worker.history.path.parent.mkdir(parents=True, exist_ok=True)
    worker.history.path.mkdir()

    worker.ask(TEXT, call_id="lost")
    await eventually(lambda: worker.failures.present())
    assert worker.recorder is not None
    await eventually(lambda: worker.recorder is not None and worker.recorder.dropped == 1)
    worker.history.path.rmdir()
    worker.ask(TEXT, call_id="kept")
    await eventually(lambda: not worker.failures.present())

    assert [len(worker.history.find(call)) for call in ("lost", "kept")] == [0, 1]
    assert worker.learning.status()["history_dropped"] == 1


async def test_new_weights_are_taken_up_while_running(start: Callable[..., Worker]) -> None:
    """What was trained answers after the next look; back leads to what answered before; remembered answers go."""
    worker = start()
    shipped = await worker.refresh()

    worker.put("maths")
    trained = await worker.refresh()
    status = worker.learning.status()
    worker.store.back()
    back = await worker.refresh()

    assert shipped != trained == "maths"
    assert back == shipped
    assert (status["weights"], status["since"], status["trained_on"]) == ("trained", 5.0, {"own_labels": 7})
    assert worker.learning.status()["weights"] == "shipped"


async def test_nothing_is_loaded_twice(start: Callable[..., Worker]) -> None:
    """As long as the pointer stays, a look costs one stat."""
    worker = start()
    used: list[Classifier] = []
    worker.put("maths")

    for _ in range(3):
        await worker.learning.refresh(used.append)

    assert len(used) == 1


async def test_altered_weights_leave_those_in_use(start: Callable[..., Worker]) -> None:
    """Refused weights change nothing but the status, until good ones come."""
    worker = start()
    worker.put("maths")
    assert await worker.refresh() == "maths"
    worker.put("code")
    table = worker.store.folder / worker.store.pointers()[-1].digest / weights.TABLE
    table.write_bytes(table.read_bytes()[:-1] + b"\x07")

    assert await worker.refresh() == "maths"

    assert "sha256" in worker.learning.warnings()[0]
    assert "stays in use" in worker.learning.warnings()[0]
    worker.put("chat")
    assert await worker.refresh() == "chat"
    assert worker.learning.warnings() == []


def test_a_start_with_refused_weights_falls_back_to_the_shipped(tmp_path: Path) -> None:
    """The worker starts, says so, and classifies as shipped."""
    ArtefactStore(tmp_path / "state").folder.mkdir(parents=True)
    (tmp_path / "state/classifier" / POINTER).write_text("nonsense")

    worker = Worker(tmp_path)

    assert worker.auto.classify(PROMPT).source is Layer.TRAINED
    assert "shipped weights are in use" in worker.learning.warnings()[0]
    assert worker.learning.status()["weights"] == "shipped"


def test_without_any_weights_cues_remain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a damaged installation classifies, and says how."""
    monkeypatch.setattr(weights, "shipped_folder", lambda: tmp_path / "nowhere")
    from neuronode_router.classifier import shipped

    shipped.cache_clear()
    worker = Worker(tmp_path)
    shipped.cache_clear()

    assert worker.auto.classify("Fasse den Bericht zusammen.").source is Layer.LEXICON
    assert "cues and lengths alone" in worker.learning.warnings()[0]
    assert worker.learning.status()["weights"] == "cues only"


async def test_old_decisions_are_forgotten_even_when_the_history_is_off(tmp_path: Path) -> None:
    """Switching the history off does not keep what it had for ever."""
    worker = Worker(tmp_path)
    worker.learning.start()
    worker.ask(TEXT)
    await eventually(lambda: worker.history.find("call-1"))
    worker.learning.stop()
    at = worker.history.find("call-1")[0][1].at

    for days, left in ((29, 1), (31, 0)):
        later = Learning(
            settings(tmp_path, NEURONODE_HISTORY="off"),
            failures=Failures(),
            clock=lambda days=days: at + days * DAY_SECONDS,  # type: ignore[misc]
        )
        await later.purge()
        assert worker.history.counts().kept == left


async def test_a_backlog_of_old_decisions_is_gone_after_a_few_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run takes many portions, and no more than so many."""
    portions = iter([MOST_PURGED] * PURGES + [MOST_PURGED, 7])
    learning = Learning(settings(tmp_path), failures=Failures(), clock=lambda: 0.0)
    asked: list[float] = []
    monkeypatch.setattr(learning_module, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(learning._history, "purge", lambda before: asked.append(before) or next(portions))

    await learning.purge()
    assert len(asked) == PURGES

    await learning.purge()
    assert len(asked) == PURGES + 2


async def test_who_may_judge(start: Callable[..., Worker]) -> None:
    """The key that asked, by hash or name, and an administrator; for others the call does not exist."""
    worker = start()
    worker.ask(TEXT, identity="hash-of-key")
    await eventually(lambda: worker.history.find("call-1"))

    await worker.learning.judge("call-1", Sign(FeedbackOutcome.RIGHT), by=MEMBER, key_hash="hash-of-key")
    judged = await worker.learning.judge(
        "call-1", Sign(FeedbackOutcome.WRONG, "chat"), by=ADMIN, key_hash="other"
    )
    with pytest.raises(UnknownCall):
        await worker.learning.judge("call-1", Sign(FeedbackOutcome.WRONG), by=MEMBER, key_hash="other")
    with pytest.raises(UnknownCall):
        await worker.learning.judge("call-2", Sign(FeedbackOutcome.WRONG), by=ADMIN, key_hash="hash-of-key")

    ((_, signs),) = worker.history.judged(judged.entry.scheme)
    assert [(sign.kind, sign.giver) for sign in signs] == [
        (FeedbackOutcome.RIGHT, "app"),
        (FeedbackOutcome.WRONG, "boss"),
    ]


async def test_a_broken_history_is_told_to_who_judges(tmp_path: Path) -> None:
    """The caller gets our error, not SQLite's."""
    worker = Worker(tmp_path)
    worker.history.path.parent.mkdir(parents=True)
    worker.history.path.write_bytes(os.urandom(5000))

    with pytest.raises(HistoryUnavailable):
        await asyncio.wait_for(
            worker.learning.judge("call-1", Sign(FeedbackOutcome.RIGHT), by=ADMIN, key_hash=""), 10
        )


async def test_weights_that_arrive_late_are_taken_up(tmp_path: Path) -> None:
    """A pointer may be copied to a host before the folder it names: that is looked at again."""
    now = 0.0
    worker = Worker(tmp_path)
    worker.put("maths")
    folder = worker.store.folder / worker.store.pointers()[-1].digest
    folder.rename(tmp_path / "on its way")
    used: list[Classifier] = []
    learning = Learning(settings(tmp_path), failures=Failures(), clock=lambda: now)
    learning.first()
    await learning.refresh(used.append)
    (tmp_path / "on its way").rename(folder)

    await learning.refresh(used.append)
    assert used == []
    now += RETRY_SECONDS
    await learning.refresh(used.append)

    assert len(used) == 1
    assert learning.warnings() == []
