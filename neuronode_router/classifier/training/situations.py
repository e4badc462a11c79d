"""Compose conversations from the phrase files: who carries the instruction, and how heavy it is, is known of each.

It must not know features or weights; the same seed gives the same conversations.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from neuronode_router.classifier.classification import Carrier
from neuronode_router.classifier.tiers import TIER_OF_LABEL
from neuronode_router.classifier.training.corpus import (
    LANGUAGES,
    Example,
    Phrase,
    compose,
    documents,
    expand,
    phrases,
    sections,
    slots,
)
from neuronode_router.domain.names import TIERS, Tier

FOLDS = 3
"""Parts of the lines: what the decisions are fitted to comes from lines that the weights they judge never saw."""
Message = dict[str, str]

HARDER = {
    "de": (
        "Erkläre es detailliert.",
        "Begründe ausführlich.",
        "Nenne auch Risiken.",
        "Vergleiche Szenarien.",
    ),
    "en": ("Explain in detail.", "Go step by step.", "Name the trade-offs.", "Compare the scenarios."),
}
EASIER = {
    "de": ("Antworte kurz.", "Nur ein Satz.", "Ja/nein genügt.", "Einfach erklärt."),
    "en": ("Keep it brief.", "Just one sentence.", "Yes/no is enough.", "Simply put."),
}
"""The plan's signs, which move the tier of its own tasks by one step."""

TAKE_REQUESTS = frozenset({"classification", "extraction", "sentiment", "translation", "rewriting"})
"""Tasks of system prompts to which a request is material like any other text."""


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation, and what is true of it."""

    messages: tuple[Message, ...]
    carrier: Carrier
    label: str
    tier: str
    """Empty where it is not known."""
    kind: str
    language: str


@dataclass(frozen=True, slots=True)
class PhraseLines:
    """The lines of one language, or those of one fold of them."""

    language: str
    phrases: list[Phrase]
    systems: list[Phrase]
    """`task` is a label; that of an open one is `open`."""
    followups: list[Phrase]
    """`task` is same, light or alone."""
    materials: list[Phrase]
    background: list[Phrase]
    fillers: dict[str, list[str]] = field(repr=False)
    texts: list[str] = field(repr=False)

    def part(self, keep: Callable[[int], bool]) -> PhraseLines:
        """Return the lines whose key is to be kept."""
        return replace(
            self,
            phrases=[line for line in self.phrases if keep(line.key)],
            systems=[line for line in self.systems if keep(line.key)],
            followups=[line for line in self.followups if keep(line.key)],
            materials=[line for line in self.materials if keep(line.key)],
            background=[line for line in self.background if keep(line.key)],
        )


@cache
def lines(language: str) -> PhraseLines:
    """Return every line of a language."""
    return PhraseLines(
        language,
        phrases(language),
        sections(f"systems_{language}.txt", language),
        sections(f"followups_{language}.txt", language),
        sections(f"materials_{language}.txt", language),
        sections("background.txt", language),
        slots(language),
        documents(language),
    )


def foreign() -> list[str]:
    """Return sentences in other languages."""
    return [line.pattern for line in sections("foreign.txt", "")]


def in_fold(number: int) -> Callable[[int], bool]:
    """Return what tells whether a line is in a fold."""
    return lambda key: key % FOLDS == number


def texts(own: PhraseLines, rng: random.Random, *, each: int) -> list[tuple[str, Phrase]]:
    """Return texts of the lines that no phrase file holds, with their line."""
    made: list[tuple[str, Phrase]] = []
    for line in (*own.systems, *own.followups, *own.materials):
        made += [(expand(line.pattern, own.fillers, rng), line) for _ in range(each)]
    return made


def beside(own: PhraseLines, rng: random.Random, *, each: int) -> list[Example]:
    """Return what teaches tasks beside the phrases: system prompts, small follow-ups, background prompts, quotes."""
    made: list[Example] = []
    for text, line in texts(own, rng, each=each):
        label = {"light": "rewriting", "alone": "chat"}.get(line.task, line.task)
        if label not in ("open", "same", ""):
            made.append(Example(text, label, own.language, "phrases", line.tier, line.key))
        elif label == "":
            made.append(Example(text, "document", own.language, "phrases", key=line.key))
    for line in own.background:
        for _ in range(2 * each):
            text = _background(line, own, rng)
            made.append(Example(text, line.task, own.language, "phrases", line.tier, line.key))
            made += [
                Example(quote, "document", own.language, "phrases", key=line.key)
                for quote in _quotes(own, rng)[:2]
            ]
    return made


def cases(own: PhraseLines, rng: random.Random, *, count: int) -> list[Case]:
    """Return `count` conversations of each kind."""
    makers = (
        _plain, _signed, _open, _standing_case, _standing_later, _standing_over, _goes_on, _goes_on_twice, _touched_up,
        _closed, _new_request, _more_material, _behind_the_scenes,
    )  # fmt: skip
    return [
        maker(own, rng) for maker in makers for _ in range(count * (3 if maker in (_plain, _signed) else 1))
    ]


def _say(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _request(own: PhraseLines, rng: random.Random, *, graded: bool = False) -> tuple[str, Phrase]:
    choice = [line for line in own.phrases if line.tier] if graded else own.phrases
    line = rng.choice(choice)
    return compose(line, own.fillers, own.texts, rng), line


def _of(lines: Sequence[Phrase], task: str, own: PhraseLines, rng: random.Random) -> str:
    return expand(rng.choice([line for line in lines if line.task == task]).pattern, own.fillers, rng)


def _material(own: PhraseLines, rng: random.Random) -> str:
    if rng.random() < 0.3:
        return rng.choice(own.texts)
    return expand(rng.choice(own.materials).pattern, own.fillers, rng)


def _plain(own: PhraseLines, rng: random.Random) -> Case:
    text, line = _request(own, rng, graded=True)
    return Case((_say("user", text),), Carrier.TURN, line.task, line.tier, "plain", own.language)


def _signed(own: PhraseLines, rng: random.Random) -> Case:
    """A task of the plan with one of its signs."""
    line = rng.choice(
        [
            line
            for line in own.phrases
            if line.tier == TIER_OF_LABEL.get(line.task, "") and line.tier and not line.attach
        ]
    )
    step = rng.choice((1, -1))
    sign = rng.choice((HARDER if step > 0 else EASIER)[own.language])
    text = f"{expand(line.pattern, own.fillers, rng)} {sign}"
    place = TIERS.index(TIER_OF_LABEL[line.task]) + step
    tier = TIERS[min(max(place, 0), len(TIERS) - 1)]
    return Case((_say("user", text),), Carrier.TURN, line.task, tier.value, "signed", own.language)


def _open(own: PhraseLines, rng: random.Random) -> Case:
    text, line = _request(own, rng)
    if rng.random() < 0.15:
        text = _of(own.followups, "alone", own, rng)
        line = Phrase("chat", own.language, "", attach=False, tier=Tier.FAST.value)
    system = _say("system", _system(own, rng, standing=False)[0])
    return Case((system, _say("user", text)), Carrier.TURN, line.task, line.tier, "open", own.language)


def _system(own: PhraseLines, rng: random.Random, *, standing: bool) -> tuple[str, Phrase]:
    choice = [line for line in own.systems if (line.task != "open") is standing]
    line = rng.choice(choice)
    text = expand(line.pattern, own.fillers, rng)
    if not standing and rng.random() < 0.4:
        text += rng.choice((" ", "\n")) + expand(rng.choice(choice).pattern, own.fillers, rng)
    return text, line


def _standing_case(own: PhraseLines, rng: random.Random) -> Case:
    text, line = _system(own, rng, standing=True)
    messages = (_say("system", text), _say("user", _material(own, rng)))
    return Case(messages, Carrier.SYSTEM, line.task, line.tier, "standing", own.language)


def _standing_later(own: PhraseLines, rng: random.Random) -> Case:
    text, line = _system(own, rng, standing=True)
    messages = (
        _say("system", text), _say("user", _material(own, rng)), _say("assistant", "..."),
        _say("user", _material(own, rng)),
    )  # fmt: skip
    return Case(messages, Carrier.SYSTEM, line.task, line.tier, "standing", own.language)


def _standing_over(own: PhraseLines, rng: random.Random) -> Case:
    """A request, under a prompt to which whatever comes is material: it is translated, sorted or named, not met."""
    line = rng.choice([line for line in own.systems if line.task in TAKE_REQUESTS])
    system = _say("system", expand(line.pattern, own.fillers, rng))
    messages = (system, _say("user", _request(own, rng)[0]))
    return Case(messages, Carrier.SYSTEM, line.task, line.tier, "standing", own.language)


def _after(own: PhraseLines, rng: random.Random, request: str, *turns: str) -> tuple[Message, ...]:
    """Return a conversation that begins with a request, perhaps under an open system prompt."""
    messages = [_say("user", request)]
    for turn in turns:
        messages += [_say("assistant", "..."), _say("user", turn)]
    if rng.random() < 0.3:
        messages.insert(0, _say("system", _system(own, rng, standing=False)[0]))
    return tuple(messages)


def _goes_on(own: PhraseLines, rng: random.Random) -> Case:
    text, line = _request(own, rng)
    messages = _after(own, rng, text, _of(own.followups, "same", own, rng))
    return Case(messages, Carrier.EARLIER, line.task, line.tier, "follow-up", own.language)


def _goes_on_twice(own: PhraseLines, rng: random.Random) -> Case:
    text, line = _request(own, rng)
    turns = [_of(own.followups, "same", own, rng) for _ in range(2)]
    return Case(
        _after(own, rng, text, *turns), Carrier.EARLIER, line.task, line.tier, "follow-up", own.language
    )


def _touched_up(own: PhraseLines, rng: random.Random) -> Case:
    text, _ = _request(own, rng)
    messages = _after(own, rng, text, _of(own.followups, "light", own, rng))
    return Case(messages, Carrier.TURN, "rewriting", Tier.FAST.value, "follow-up", own.language)


def _closed(own: PhraseLines, rng: random.Random) -> Case:
    text, _ = _request(own, rng)
    messages = _after(own, rng, text, _of(own.followups, "alone", own, rng))
    return Case(messages, Carrier.TURN, "chat", Tier.FAST.value, "follow-up", own.language)


def _new_request(own: PhraseLines, rng: random.Random) -> Case:
    (text, _), (turn, line) = _request(own, rng), _request(own, rng)
    return Case(_after(own, rng, text, turn), Carrier.TURN, line.task, line.tier, "new request", own.language)


def _more_material(own: PhraseLines, rng: random.Random) -> Case:
    line = rng.choice([line for line in own.phrases if line.attach and line.tier])
    first = f"{expand(line.pattern, own.fillers, rng)}\n{_material(own, rng)}"
    turn = _material(own, rng)
    if rng.random() < 0.4:
        turn = f'"{turn}"'
    messages = _after(own, rng, first, turn)
    return Case(messages, Carrier.EARLIER, line.task, line.tier, "more material", own.language)


def _behind_the_scenes(own: PhraseLines, rng: random.Random) -> Case:
    line = rng.choice(own.background)
    text = _background(line, own, rng)
    return Case((_say("user", text),), Carrier.TURN, line.task, line.tier, "background", own.language)


def _background(line: Phrase, own: PhraseLines, rng: random.Random) -> str:
    tag = rng.choice(("chat_history", "conversation", "history", "messages", "transcript", "dialog"))
    quotes = "\n".join(_quotes(own, rng))
    quoted = rng.choice(
        (f"\n<{tag}>\n{quotes}\n</{tag}>\n", f"\n### Chat History:\n{quotes}\n", f"\n---\n{quotes}\n---\n")
    )
    head, _, tail = line.pattern.partition("{quoted}")
    return f"{expand(head, own.fillers, rng)}{quoted}{expand(tail, own.fillers, rng)}"


def _quotes(own: PhraseLines, rng: random.Random) -> list[str]:
    """Return a few turns of a conversation, as they are quoted."""
    user, other = rng.choice((
        ("USER", "ASSISTANT"), ("User", "Assistant"), ("user", "assistant"), ("Human", "AI"), ("Nutzer", "Assistent"),
        ("Kunde", "Agent"),
    ))  # fmt: skip
    found = []
    for _ in range(rng.randrange(1, 4)):
        text = _request(own, rng)[0] if rng.random() < 0.75 else _of(own.followups, "same", own, rng)
        reply = rng.choice(
            (rng.choice(own.texts).split(". ")[0] + ".", "Sure. First ...", "Gerne: 1. ...", "```...```")
        )
        found += [f"{user}: {' '.join(text.split())[:220]}", f"{other}: {reply}"]
    return found


def all_lines() -> list[PhraseLines]:
    """Return the lines of both languages."""
    return [lines(language) for language in LANGUAGES]
