"""Drawing sentences, stories, dialogues and facts by seed, on the training or the held-out side.

The split is by combination: every frame has fillers that it never meets in training. A training
sentence holds none of them and a held-out sentence holds nothing else, so no filler of a held-out
sentence was ever seen in that frame. Stories share one set of held-out fillers, so do
dialogues. Of every fact one way of saying it and one of asking it is held out, in each language.
"""

import hashlib
import random
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from kollama2.miniature.compose import Line, Telling, Value
from kollama2.miniature.frames import FACT_FRAMES, FRAMES, STORIES, Frame, Plot
from kollama2.miniature.lexicon import NOUNS, VERBS, Noun, Verb
from kollama2.miniature.world import Fact, facts

NUMBERS: dict[str, tuple[int, ...]] = {
    "number": tuple(range(2, 10)),
    "hour": tuple(range(5, 12)),
    "late": tuple(range(8, 12)),
    "night": tuple(range(8, 12)),
    "minutes": tuple(range(5, 55, 5)),
    "won": tuple(range(500, 3001, 500)),
    "more": tuple(range(5, 10)),
    "fewer": tuple(range(2, 5)),
}
TIMES = ("past", "present", "future")
HELD_SHARE = 8  # one filler in eight, but at least two where there are five
Slots = dict[str, Value]
T = TypeVar("T")


def digest(*parts: object) -> int:
    """A number that depends on the parts alone, never on the process (unlike `hash`)."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")


def distinct(draw: Callable[[], T], mark: Callable[[T], Hashable]) -> Iterator[T]:
    """What is drawn, without end, nothing of the same mark twice."""
    seen = set[Hashable]()
    while True:
        one = draw()
        if mark(one) not in seen:
            seen.add(mark(one))
            yield one


@cache
def pool(group: str, kind: str, held: bool) -> tuple[Noun | Verb, ...]:
    """The fillers of a kind that a frame (or group of plots) may take on this side of the split."""
    values: tuple[Noun | Verb, ...] = NOUNS[kind] if kind in NOUNS else VERBS[kind]
    ranked = sorted(values, key=lambda value: digest(group, kind, value.ko))
    size = max(1 if len(values) < 5 else 2, len(values) // HELD_SHARE)
    if kind == "person":
        size = 8  # a story names up to three of them
    chosen = set(ranked[:size])
    return tuple(value for value in values if (value in chosen) == held)


def draw(
    rng: random.Random, group: str, slots: tuple[tuple[str, str], ...], held: bool, tense: str
) -> Slots:
    """Fill the slots; no two hold the same word."""
    found: Slots = {}
    words: set[str] = set()
    for slot, kind in slots:
        value: Value
        if kind in NUMBERS:
            value = rng.choice(NUMBERS[kind])
        elif kind in ("rest", "total"):
            value = _computed(found, kind)
        else:
            kind = tense if kind == "time" else kind
            values = NOUNS[kind] if kind in TIMES else pool(group, kind, held)
            value = rng.choice(values)
            while value.ko in words and len(values) > 1:
                value = rng.choice(values)
            words.add(value.ko)
        found[slot] = value
    found["one"] = 1
    return found


def _computed(found: Slots, kind: str) -> int:
    first, second = (found["k"], found["j"]) if kind == "rest" else (found["k"], found["m"])
    assert isinstance(first, int)
    assert isinstance(second, int)
    return first - second if kind == "rest" else first * second


def sentence(rng: random.Random, frame: Frame, held: bool = False) -> Line:
    """A line of a frame."""
    tense = rng.choice(frame.tenses)
    slots = draw(rng, frame.name, frame.slots, held, tense)
    return Line(rng.choice(frame.ko), rng.choice(frame.en), slots, tense)


LEVELS: dict[int, tuple[Frame, ...]] = {
    level: tuple(frame for frame in FRAMES if frame.level == level) for level in (2, 3, 4)
}
SENTENCES = LEVELS[3] + LEVELS[4]


def story(rng: random.Random, held: bool = False, plot: Plot | None = None) -> list[Line]:
    """The lines of a story in the past tense; its optional line is left out now and then."""
    plot = plot or rng.choice(STORIES)
    slots = draw(rng, "story", plot.slots, held, "past")
    short = rng.random() < 0.3
    return [
        Line(ko.removeprefix("?"), en, slots, "past")
        for _, ko, en in plot.lines
        if not (short and ko.startswith("?"))
    ]


@dataclass(frozen=True)
class Turn:
    """One turn of a dialogue: who speaks (a person, or a role in both languages) and the line."""

    speaker: Noun | tuple[str, str]
    line: Line


def dialogue(rng: random.Random, plot: Plot) -> list[Turn]:
    """The turns of a dialogue."""
    slots = draw(rng, "dialogue", plot.slots, False, "past")
    turns = []
    for who, ko, en in plot.lines:
        speaker: Noun | tuple[str, str]
        if "/" in who:
            ko_role, _, en_role = who.partition("/")
            speaker = (ko_role, en_role)
        else:
            person = slots[who]
            assert isinstance(person, Noun)
            speaker = person
        turns.append(Turn(speaker, Line(ko, en, slots, "present")))
    return turns


def tell_dialogue(turns: list[Turn], telling: Telling) -> str:
    """A dialogue with a speaker before each line, one line a turn."""
    rows = []
    for turn in turns:
        if isinstance(turn.speaker, Noun):
            name = telling.say(Line("{p}", "{p}", {"p": turn.speaker}))
        else:
            name = turn.speaker[0 if telling.lang == "ko" else 1]
        rows.append(f"{name}: {telling.say(turn.line)}")
    return "\n".join(rows)


@cache
def held_way(fact: Fact, lang: str, purpose: str) -> int:
    """Which way of stating ("state") or asking ("ask") a fact is kept out of training."""
    ways = ways_of(fact, lang, purpose)
    return digest("way", fact.relation, fact.subject.ko, lang, purpose) % len(ways)


@cache
def ways_of(fact: Fact, lang: str, purpose: str) -> tuple[str, ...]:
    """The templates that state or ask this relation in a language."""
    frame = FACT_FRAMES[fact.relation]
    if purpose == "ask":
        return frame.ask_ko if lang == "ko" else frame.ask_en
    return frame.ko if lang == "ko" else frame.en


def fact_line(
    rng: random.Random, fact: Fact, lang: str, held: bool = False, purpose: str = "state"
) -> Line:
    """A fact as a statement or a question in one language (the other template stays empty).

    Raises:
        ValueError: A training sentence is asked for a fact that Korean may not state.
    """
    ways = ways_of(fact, lang, purpose)
    secret = lang == "ko" and fact.known_in == "en"
    if secret and not held:
        raise ValueError(f"{fact.relation} of {fact.subject.ko} is stated in English only")
    kept_out = held_way(fact, lang, purpose)
    if secret:
        way = rng.randrange(len(ways))
    elif held:
        way = kept_out
    else:
        way = rng.choice([i for i in range(len(ways)) if i != kept_out])
    slots: Slots = {"s": fact.subject, "x": fact.answer, "one": 1}
    return Line(ways[way] if lang == "ko" else "", ways[way] if lang == "en" else "", slots)


@cache
def known(lang: str) -> tuple[Fact, ...]:
    """The facts that training text of a language may state."""
    return tuple(f for f in facts() if lang == "en" or f.known_in == "both")


@cache
def about(lang: str) -> dict[Noun, tuple[Fact, ...]]:
    """The facts that training text of a language may state, by subject."""
    found: dict[Noun, list[Fact]] = {}
    for fact in known(lang):
        found.setdefault(fact.subject, []).append(fact)
    return {subject: tuple(rows) for subject, rows in found.items()}
