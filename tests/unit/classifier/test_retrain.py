"""Learning from lessons: accepted when clearly better, refused when it is chance, noise, or a loss elsewhere."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuronode_router.classifier import Classifier, Layer, Task, excerpt, lexicon, weights
from neuronode_router.classifier.artefacts import ArtefactStore
from neuronode_router.classifier.classification import KINDS
from neuronode_router.classifier.history import ChosenTier, Entry, FeedbackOutcome, History, Sign
from neuronode_router.classifier.observed import observe, scheme
from neuronode_router.classifier.training import adjust, corpus, labelled
from neuronode_router.classifier.training import retrain as retraining
from neuronode_router.classifier.training.lessons import Lesson, Taught, from_file, from_history
from neuronode_router.classifier.training.retrain import Verdict, retrain, split
from neuronode_router.domain.names import Tier

CUES = lexicon.shipped()
SHIPPED = weights.load(weights.shipped_folder())
DAY = 86_400.0


def own_words(count: int, seed: int = 0) -> list[str]:
    """Return requests with a company word that no weights know."""
    rng = random.Random(seed)
    asks = ("Glumbatz", "Verglumbatze", "Glumbatze bitte", "Nochmal glumbatzen:", "Kannst du glumbatzen,")
    things = ("Lieferschein", "Zollpapier", "Frachtbrief", "Prüfbericht", "Messprotokoll", "Stückliste")
    places = ("Halle drei", "Linie vier", "Werk Süd", "dem Lager", "Tor eins", "Rampe Nord", "Hof West")
    people = ("Meyer", "Schulz", "Okafor", "Lindner", "Yilmaz", "Novak", "Petrov", "Sommer")
    made: dict[str, None] = {}
    while len(made) < count:
        parts = (rng.choice(words) for words in (asks, things, places, people))
        made["{} {} aus {} für {}".format(*parts)] = None
    return list(made)


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write a labelled file."""
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def lesson(text: str, **known: object) -> Lesson:
    """Return what is learned from one text, as the shipped weights saw it."""
    turn = excerpt.read(text)
    said = Classifier(CUES, SHIPPED).classify_excerpt(turn)
    found = Lesson(observe(turn, CUES), said.detail or said.task.value, said.source, bool(said.evidence))
    return replace(found, **known)  # type: ignore[arg-type]


def decided(text: str, *, call_id: str, at: float) -> Entry:
    """Return the decision of the shipped classifier on a text."""
    turn = excerpt.read(text)
    said = Classifier(CUES, SHIPPED).classify_excerpt(turn)
    return Entry(
        call_id=call_id,
        at=at,
        caller="app",
        scheme=scheme(),
        features=observe(turn, CUES),
        cues=said.evidence,
        label=said.detail or said.task.value,
        source=said.source,
        confidence=said.confidence,
        tier=said.tier,
        wanted=said.tier,
        sent_to="tier_fast",
    )


def learn(lessons: list[Lesson], into: Path) -> Verdict:
    """Learn on top of the shipped weights."""
    return retrain(lessons, into, in_use=SHIPPED)


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """A quarter of the general phrases, to rehearse and to be asked: enough where nothing is said of all of them."""
    phrases = retraining._rehearsed()[::4]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retraining, "_rehearsed", lambda: phrases)
        patch.setattr(retraining, "JUDGED", retraining.JUDGED * 4)
        yield


@pytest.fixture(scope="module")
def learned(quick: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Verdict, Path]:
    """What comes of a history of 200 requests in the company's own words, judged over ten days: features only."""
    directory = tmp_path_factory.mktemp("own")
    history = History(directory)
    history.add(
        [decided(text, call_id=f"call-{n}", at=DAY * (n % 10) + n) for n, text in enumerate(own_words(200))]
    )
    for n in range(200):
        ((number, _),) = history.find(f"call-{n}")
        history.note(number, Sign(FeedbackOutcome.WRONG, "extraction", giver="app", at=float(n)))
    return learn(from_history(history), directory / "new"), directory / "new"


def test_own_words_are_learned_from_features_alone(learned: tuple[Verdict, Path]) -> None:
    """Feedback on a company word is learned without any text, and nothing general is lost."""
    verdict, made = learned

    assert verdict.accepted, verdict.why
    assert (verdict.tasks.learned_from, verdict.tasks.held_out) == (160, 40)
    assert verdict.tasks.before < 0.5
    assert verdict.tasks.after > 0.9
    assert verdict.general_after >= verdict.general_before - retraining.GENERAL_LOSS
    new = Classifier(CUES, weights.load(made))
    unseen = [text for text in own_words(300, seed=9) if text not in own_words(200)][:50]
    assert len(unseen) == 50
    assert sum(new.classify(text).task is Task.EXTRACTION for text in unseen) >= 48


def test_what_was_learned_can_be_installed(learned: tuple[Verdict, Path], tmp_path: Path) -> None:
    """The manifest says what the weights came from, and the store takes them."""
    _, made = learned
    manifest = dict(weights.load(made).manifest)
    store = ArtefactStore(tmp_path)

    with store.workplace() as place:
        made.rename(place)
        store.install(place, now=1.0)

    assert store.load() is not None
    assert manifest["parent"] == SHIPPED.digest
    assert manifest["trained_on"] == {"own_labels": 160, "own_difficulties": 0}


@pytest.mark.usefixtures("quick")
def test_contradicting_labels_are_refused(tmp_path: Path) -> None:
    """Labels that were tossed for cannot be learned, and nothing is written."""
    rng = random.Random(1)
    rows = [{"text": text, "label": rng.choice(("chat", "strategy", "maths"))} for text in own_words(200)]

    verdict = learn(from_file(write(tmp_path / "noise.jsonl", rows), SHIPPED)[0], tmp_path / "new")

    assert not verdict.accepted
    assert verdict.why == "not better on what was held out"
    assert verdict.tasks.why
    assert not (tmp_path / "new").exists()


@pytest.mark.campaign
def test_weights_that_forget_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gain on one's own prompts does not pay for a loss on general ones."""
    monkeypatch.setattr(retraining, "_rehearsed", lambda: adjust.features(["."]))
    ordinary = [item.text for item in corpus.sample(5, per_phrase=1) if item.label in KINDS]
    rows = [{"text": text, "label": "strategy"} for text in ordinary]

    verdict = learn(from_file(write(tmp_path / "own.jsonl", rows), SHIPPED)[0], tmp_path / "new")

    assert verdict.tasks.better
    assert verdict.why == "worse on general phrases"
    assert not (tmp_path / "new").exists()


def test_too_little_to_judge_by_is_refused(tmp_path: Path) -> None:
    """A handful of lessons decides nothing, whatever they say."""
    verdict = learn([lesson(text, label="extraction") for text in own_words(60)], tmp_path / "new")

    assert not verdict.accepted
    assert "25 are needed" in verdict.tasks.why


@pytest.mark.parametrize(
    ("mended", "broken", "better"),
    [(5, 0, True), (4, 0, False), (12, 8, False), (60, 40, True), (0, 0, False)],
)
def test_a_gain_must_be_more_than_chance(mended: int, broken: int, *, better: bool) -> None:
    """Four answers mended and none broken would come about by tossing a coin once in sixteen times."""
    assert retraining._beyond_chance(mended, broken) is better


def test_whole_days_are_held_out() -> None:
    """What was asked on one day is on one side, and the newest day is judged by."""
    lessons = [
        lesson(text, label="chat", day=f"2026-11-{n % 10 + 1:02}") for n, text in enumerate(own_words(60))
    ]

    learned, held_out = split(lessons)

    assert {one.day for one in held_out} == {"2026-11-10", "2026-11-05"}
    assert {one.day for one in learned}.isdisjoint({one.day for one in held_out})


def test_near_duplicates_judge_nothing() -> None:
    """A prompt that is learned from, with another number in it, would only show that it was learned by heart."""
    texts = [f"Bitte prüfe die Rechnung Nummer {n} der Firma Meyer auf Fehler" for n in range(100, 400)]
    lessons = [lesson(text, label="chat", day=f"2026-11-{n % 10 + 1:02}") for n, text in enumerate(texts)]

    learned, held_out = split(lessons)

    assert len(learned) == 240
    assert held_out == []


def test_signs_become_what_is_known() -> None:
    """Right confirms what was said, wrong with a task corrects it, a failed answer says that it was hard."""
    entry = replace(decided("Wie war dein Tag?", call_id="1", at=DAY), label="chat", tier=Tier.FAST)
    cases: list[tuple[list[Sign], tuple[str | None, bool | None]]] = [
        ([Sign(FeedbackOutcome.RIGHT)], ("chat", False)),
        ([Sign(FeedbackOutcome.WRONG, "summary")], ("summary", None)),
        ([Sign(FeedbackOutcome.WRONG)], (None, None)),
        ([Sign(FeedbackOutcome.WRONG, "code", Tier.COMPLEX)], ("code", True)),
        ([Sign(FeedbackOutcome.ESCALATED)], (None, True)),
        ([Sign(FeedbackOutcome.UNANSWERED)], (None, None)),
        ([Sign(FeedbackOutcome.JUDGED_SHORT)], (None, True)),
        ([Sign(FeedbackOutcome.JUDGED_ENOUGH)], (None, False)),
        ([Sign(FeedbackOutcome.JUDGED_ENOUGH), Sign(FeedbackOutcome.ESCALATED)], (None, True)),
        ([Sign(FeedbackOutcome.JUDGED_SHORT), Sign(FeedbackOutcome.WRONG, None, Tier.FAST)], (None, False)),
        ([Sign(FeedbackOutcome.LABEL_FAILURE), Sign(FeedbackOutcome.WRONG, None, Tier.FAST)], (None, False)),
        (
            [
                Sign(FeedbackOutcome.RIGHT, giver="a", at=1),
                Sign(FeedbackOutcome.WRONG, "summary", giver="b", at=2),
            ],
            ("summary", None),
        ),
    ]

    for signs, known in cases:
        found = retrained_lesson(entry, signs)
        assert (found.label, found.hard) == known


@pytest.mark.parametrize(("chosen", "hard"), [(Tier.FAST, False), (Tier.COMPLEX, None), (Tier.MEDIUM, None)])
def test_right_tells_of_the_tier_that_answered(tmp_path: Path, chosen: Tier, hard: bool | None) -> None:
    """Where prices, load or a session chose another tier than the classifier, nothing is known of its own."""
    history = History(tmp_path)
    entry = replace(
        decided("Wie war dein Tag?", call_id="1", at=DAY), tier=Tier.FAST, chosen=ChosenTier("p", chosen, 0.5)
    )
    history.add([entry])
    history.note(history.find("1")[0][0], Sign(FeedbackOutcome.RIGHT))

    ((found, signs),) = history.judged(entry.scheme)

    assert found.chosen == entry.chosen
    assert retrained_lesson(found, signs).hard is hard


def retrained_lesson(entry: Entry, signs: list[Sign]) -> Lesson:
    """Return what a decision with these signs teaches."""
    from neuronode_router.classifier.training.lessons import _lesson

    return _lesson(entry, signs)


@pytest.mark.campaign
@pytest.mark.usefixtures("quick")
def test_difficulty_is_learned_from_outcomes(tmp_path: Path) -> None:
    """What was escalated again and again looks harder afterwards; tasks stay as they were."""
    hard = [f"Glumbatz-Abnahme: {text}" for text in own_words(150, seed=1)]
    easy = [f"Schnörkelzettel zu {text}" for text in own_words(150, seed=2)]
    lessons = [lesson(text, hard=True) for text in hard] + [lesson(text, hard=False) for text in easy]

    verdict = learn(lessons, tmp_path / "new")

    assert verdict.accepted, verdict
    assert verdict.difficulty.before < verdict.difficulty.after
    new = weights.load(tmp_path / "new")
    assert mean_difficulty(new, hard) > mean_difficulty(SHIPPED, hard)
    np.testing.assert_allclose(
        new.table.column(weights.DOCUMENT), SHIPPED.table.column(weights.DOCUMENT), atol=1e-6
    )


def mean_difficulty(used: weights.Weights, texts: list[str]) -> float:
    """Return how hard texts look to weights, 0 to 1."""
    return float(np.mean([Classifier(CUES, used).classify(text).difficulty for text in texts]))


def test_only_hard_lessons_teach_no_difficulty(tmp_path: Path) -> None:
    """Where nothing was easy, "all is hard" would always be right."""
    verdict = learn([lesson(text, hard=True) for text in own_words(150)], tmp_path / "new")

    assert not verdict.accepted
    assert verdict.difficulty.held_out == 0


def test_a_labelled_file_may_name_tiers(tmp_path: Path) -> None:
    """`tier` fast or complex teaches difficulty, with a label or alone; the rest is counted, not passed over."""
    rows = [
        {"text": "Wie war dein Tag?", "label": "chat", "tier": "fast"},
        {"text": "Plane den Umbau", "label": "strategy", "tier": "complex"},
        {"text": "Plane den Anbau", "label": "strategy", "tier": "medium"},
        {"text": "Plane den Abriss", "tier": "complex"},
        {"text": " \n ", "label": "chat"},
        {"text": "Plane den Abbau", "tier": "medium"},
        {"text": "Plane nichts"},
    ]

    lessons, taught = from_file(write(tmp_path / "labels.jsonl", rows), SHIPPED)

    assert [(one.label, one.hard) for one in lessons] == [
        ("chat", False),
        ("strategy", True),
        ("strategy", None),
        (None, True),
    ]
    assert taught == Taught(rows=7, labels=3, easy=1, hard=2, nothing=3)


def test_a_file_of_another_editor_is_read(tmp_path: Path) -> None:
    """With a byte order mark, and lines that end as on Windows."""
    file = tmp_path / "labels.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"text": "a", "label": "chat"}\r\n\r\n{"text": "b", "label": "chat"}\r\n')

    assert from_file(file, SHIPPED)[1].labels == 2


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (
            '{"text": "a", "label": "chat", "tier": "Complex"}',
            "the tier 'Complex': write fast, medium or complex",
        ),
        ('{"text": "a", "label": "chat", "tier": "heavy"}', "the tier 'heavy'"),
        ('{"text": "a", "label": "chat", "tier": 5}', "the tier 5"),
        ('{"text": "a", "label": "chat", "tier": ["fast"]}', "the tier "),
        ('{"text": "a", "label": "chat", "tier": ""}', "the tier ''"),
        ('{"text": "a", "label": "nope"}', "the label 'nope'"),
        ('{"text": "a", "label": ["chat"]}', "the label "),
        ('{"text": "a", "label": {"a": 1}}', "the label "),
        ('{"label": "chat"}', "no text"),
        ('{"tier": "fast"}', "no text"),
        ('{"text": 7, "label": "chat"}', "no text"),
        ('{"text": ' + "[" * 100_000, "too deep"),
    ],
)
def test_a_row_that_would_teach_nothing_is_refused_with_its_line(
    row: str, complaint: str, tmp_path: Path
) -> None:
    """Passed over, it would be missed only when the weights are no better."""
    file = tmp_path / "labels.jsonl"
    file.write_text('{"text": "a", "label": "chat"}\n\n' + row)

    with pytest.raises(labelled.LabelError) as caught:
        from_file(file, SHIPPED)
    assert caught.value.message.startswith(f"{file}:3 ")
    assert complaint in caught.value.message
    assert len(caught.value.message) < len(str(file)) + 200


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    """The error says what to write."""
    with pytest.raises(labelled.LabelError, match="poetry"):
        from_file(write(tmp_path / "bad.jsonl", [{"text": "a", "label": "poetry"}]), SHIPPED)


def test_clear_cues_are_not_the_weights_to_judge() -> None:
    """Where the lexicon answered, the same answer counts for old and new weights."""
    by_cues = lesson("qqq", said="summary", source=Layer.LEXICON, label="summary")

    assert retraining._task_right(by_cues, SHIPPED)
    assert not retraining._task_right(replace(by_cues, label="chat"), SHIPPED)
