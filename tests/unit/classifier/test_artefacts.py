"""The store of weights: by hash, whole or refused, and with a way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neuronode_router.classifier import weights
from neuronode_router.classifier.artefacts import KEPT, POINTER, ArtefactStore, Pointer
from neuronode_router.errors import ArtefactRefused
from tests.support.biased import write_biased


@pytest.fixture
def store(tmp_path: Path) -> ArtefactStore:
    return ArtefactStore(tmp_path)


def put(store: ArtefactStore, label: str, *, now: float = 1.0) -> Pointer:
    """Put weights in use that say one label."""
    with store.workplace() as made:
        write_biased(made, label)
        return store.install(made, now=now)


def test_an_empty_store_means_the_shipped_weights(store: ArtefactStore) -> None:
    """Before anything was trained there is no pointer and no folder."""
    assert (store.load(), store.stamp(), store.pointers()) == (None, None, ())
    assert not store.folder.exists()


def test_what_is_installed_is_in_use(store: ArtefactStore) -> None:
    """The pointer names the weights by hash; nothing of the workplace is left."""
    pointer = put(store, "maths", now=12.0)

    found = store.load()

    assert found is not None
    assert (found.pointer, pointer.since) == (pointer, 12.0)
    assert found.trained_on == {"own_labels": 7}
    assert {path.name for path in store.folder.iterdir()} == {POINTER, pointer.digest}


def test_the_way_back_leads_to_the_shipped_weights(store: ArtefactStore) -> None:
    """Each step goes to what was in use before; at its end there is a clear refusal."""
    first, _ = put(store, "maths"), put(store, "code")

    assert store.back() == first
    assert store.load() is not None
    assert store.back() is None
    assert store.load() is None
    with pytest.raises(ArtefactRefused, match="nothing to go back to"):
        store.back()


def test_every_change_is_seen_by_one_stat(store: ArtefactStore) -> None:
    """Workers only compare what a stat says."""
    seen = [store.stamp()]
    for act in (lambda: put(store, "maths"), lambda: put(store, "code"), store.back, store.back):
        act()
        seen.append(store.stamp())

    assert len(set(seen)) == len(seen)


def test_the_same_weights_again_are_no_loss(store: ArtefactStore) -> None:
    """Training twice on the same lessons gives the same folder, and back leads to it."""
    first, again = put(store, "maths"), put(store, "maths")

    assert first == again
    assert store.back() == first
    assert store.load() is not None


def test_ways_back_are_bounded(store: ArtefactStore) -> None:
    """Old folders go when nothing points to them any more."""
    for number in range(KEPT + 2):
        put(store, ("maths", "code", "chat")[number % 3], now=float(number))
    put(store, "summary")
    for _ in range(KEPT - 1):
        store.back()

    assert {path.name for path in store.folder.iterdir()} == {POINTER, store.pointers()[0].digest}


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    payload = bytearray(path.read_bytes())
    payload[len(payload) // 2] ^= 1
    path.write_bytes(payload)


def unsettle(path: Path) -> None:
    """Change a number of the manifest: it stays valid JSON with fitting hashes of the files."""
    path.write_text(path.read_text().replace('"own_labels": 7', '"own_labels": 8'))


@pytest.mark.parametrize(
    ("name", "spoil", "complaint"),
    [
        (weights.TABLE, flip, "sha256"),
        (weights.MANIFEST, unsettle, "altered"),
        (weights.TABLE, Path.unlink, "missing"),
        (weights.MANIFEST, Path.unlink, "missing"),
    ],
)
def test_altered_weights_are_refused(
    store: ArtefactStore, name: str, spoil: Callable[[Path], None], complaint: str
) -> None:
    """One flipped bit anywhere, or a missing file, and the weights are not used."""
    pointer = put(store, "maths")
    spoil(store.folder / pointer.digest / name)

    with pytest.raises(ArtefactRefused, match=complaint):
        store.load()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"digest": "x"}]', "\x00"])
def test_a_strange_pointer_is_refused(store: ArtefactStore, text: str) -> None:
    """A pointer file that is not ours is named, with the way out."""
    put(store, "maths")
    (store.folder / POINTER).write_text(text)

    with pytest.raises(ArtefactRefused, match="pointer") as caught:
        store.load()
    assert "shipped weights" in caught.value.fix


def test_weights_for_other_features_are_refused(store: ArtefactStore) -> None:
    """After an upgrade that computes features in another way, old weights would say nonsense."""
    with store.workplace() as made:
        write_biased(made, "maths", features="0123456789abcdef")
        with pytest.raises(ArtefactRefused, match="another version"):
            store.install(made, now=1.0)

    assert store.load() is None


def test_what_does_not_load_is_not_installed(store: ArtefactStore) -> None:
    """The pointer moves only to weights that were just loaded."""
    before = put(store, "maths")

    with store.workplace() as made:
        write_biased(made, "code")
        flip(made / weights.TABLE)
        with pytest.raises(ArtefactRefused):
            store.install(made, now=2.0)

    assert store.pointers() == (before,)
