"""What the classifier reads of a conversation: the last user turn, through a bounded window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.classifier import excerpt
from tests.support.work import least_seconds


def turn(content: object, role: str = "user") -> dict[str, object]:
    return {"role": role, "content": content}


def test_the_last_user_turn_decides() -> None:
    """Earlier turns, the system prompt and the assistant's words are not what is asked for."""
    messages = [
        turn("Translate everything.", "system"),
        turn("Write a poem."),
        turn("Roses are red.", "assistant"),
        turn("Danke!"),
    ]

    read = excerpt.read(messages)

    assert read.pieces == ("danke!",)


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (
            [{"type": "text", "text": "Was ist das?"}, {"type": "image_url", "image_url": {"url": "data:x"}}],
            "was ist das?",
        ),
        ([{"type": "input_text", "text": "Hallo"}], "hallo"),
        (["Hallo", None, 7, {"type": "text", "text": None}], "hallo"),
        ([{"type": "text", "text": "A"}, {"type": "text", "text": "B"}], "a b"),
    ],
)
def test_parts_are_read_and_everything_else_is_skipped(content: object, seen: str) -> None:
    """Images, None and unknown parts carry no text and do no harm."""
    read = excerpt.read([turn(content)])

    assert read.pieces[0] == seen


@pytest.mark.parametrize("content", [None, "", "  \n ", [], [None], 7, {"type": "text"}, [[["deep"]]]])
def test_a_turn_without_text_is_passed_over(content: object) -> None:
    """A turn of tool results or images alone leaves the turn before it in charge."""
    read = excerpt.read([turn("Fasse zusammen."), turn("...", "tool"), turn(content)])

    assert read.pieces == ("fasse zusammen.",)


def test_no_user_turn_is_an_empty_excerpt() -> None:
    """Nothing to read is no error."""
    assert excerpt.read([]).pieces == ()
    assert excerpt.read([turn("You are helpful.", "system")]).pieces == ()


def test_one_spelling_for_all() -> None:
    """Capitals, umlauts, their ae spelling, decomposed letters, digits and typographic quotes fold together."""
    assert excerpt.fold("ÜBERSETZE „Größe“ 1985") == excerpt.fold('uebersetze "Groesse" 2026')
    assert excerpt.fold("fu\u0308r") == "fuer"


@pytest.mark.parametrize("document_first", [True, False])
def test_an_instruction_around_a_long_document_keeps_a_piece_of_its_own(*, document_first: bool) -> None:
    """However long the attached text is, the instruction before or after it stands alone in one piece."""
    document = "Der Hafen lag still. " * 5000
    order = (document, "Fasse das zusammen.") if document_first else ("Fasse das zusammen.", document)

    read = excerpt.read("\n\n".join(order))

    assert "fasse das zusammen." in read.pieces


@pytest.mark.parametrize("instruction_first", [True, False])
def test_a_long_instruction_is_read_past_its_first_sentence(*, instruction_first: bool) -> None:
    """Tools explain at length before they say what they want: the second sentence has its place in a piece."""
    point = "You must sort every entry into one of two bins, the loud ones and the quiet ones."
    rest = " Do not explain your choice, and do not repeat the entry." * 3
    instruction = f"In what follows you are shown some notes that travellers left. {point}{rest}"
    order = (instruction, "The hut was cold.") if instruction_first else ("The hut was cold.", instruction)

    read = excerpt.read("\n\n".join(order))

    assert any(excerpt.fold(point) in piece for piece in read.pieces[1:])


@given(st.text(max_size=6000))
def test_any_text_gives_few_short_pieces(text: str) -> None:
    """Whatever is sent, what is looked at stays bounded."""
    read = excerpt.read(text)

    assert len(read.pieces) <= 1 + 2 * (2 * excerpt.MAX_LINES) + 2
    assert sum(map(len, read.pieces)) <= 8 * excerpt.PIECE * excerpt.MAX_LINES
    assert all("\n" not in piece for piece in read.pieces)


@pytest.mark.parametrize(
    "messages",
    [
        [turn("x" * 10_000_000)],
        [turn("hallo welt\n" * 1_000_000)],
        [turn(["y" * 100_000] * 10_000)],
        [turn("z", "tool")] * 10_000 + [turn("Hallo")],
        [turn(None)] * 10_000,
    ],
    ids=["10 MB", "a million lines", "10k parts", "10k messages", "10k empty turns"],
)
def test_huge_prompts_cost_no_more_than_small_ones(messages: list[dict[str, object]]) -> None:
    """Reading looks at a window, so the thread's CPU stays in the region of a millisecond."""
    assert least_seconds(lambda: excerpt.read(messages)) < 0.5, "all of it was looked at"
