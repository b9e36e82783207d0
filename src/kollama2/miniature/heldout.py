"""Held-out passages: text whose every sentence is kept out of all training corpora of all seeds."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from kollama2.miniature import korean, scenes
from kollama2.miniature.compose import Line, Telling
from kollama2.miniature.frames import STORIES
from kollama2.miniature.world import Fact, facts

# The three kinds of passage; an item is about one cluster (whom, which plot, which frames).
KINDS = ("portrait", "story", "scene")


@dataclass(frozen=True)
class Passage:
    """A held-out passage with the kind and the cluster it belongs to."""

    kind: str
    cluster: str
    text: str


@cache
def portraits(lang: str) -> list[tuple[Fact, ...]]:
    """The facts of each subject: in Korean those that only English text states come first."""
    found: dict[str, list[Fact]] = {}
    for fact in facts():
        found.setdefault(fact.subject.ko, []).append(fact)
    return [
        tuple(sorted(rows, key=lambda fact: lang == "ko" and fact.known_in == "both"))
        for rows in found.values()
        if len(rows) > 2  # things have two facts, too few for a passage
    ]


def passage(rng: random.Random, lang: str, kind: str) -> Passage:
    """One passage of about 100 to 300 bytes."""
    telling = Telling(lang, rng.choice(korean.REGISTERS), digits=rng.random() < 0.3)
    size = 3 if lang == "ko" else 4  # Korean takes more bytes for a sentence
    if kind == "story":
        plot = rng.choice(STORIES)
        lines = scenes.story(rng, held=True, plot=plot)[: size + 1]
        return Passage(kind, f"story {plot.name}", telling.tell(lines))
    if kind == "portrait":
        group = rng.choice(portraits(lang))
        chosen = rng.sample(group, min(len(group), size + 1))
        told = [scenes.fact_line(rng, fact, lang, held=True) for fact in chosen]
        return Passage(kind, f"portrait {group[0].subject.ko}", telling.tell(told))
    frames = rng.sample(scenes.SENTENCES, size)
    drawn: list[Line] = [scenes.sentence(rng, frame, held=True) for frame in frames]
    return Passage(kind, f"scene {frames[0].name}", telling.tell(drawn))


def passages(lang: str, seed: int) -> Iterator[Passage]:
    """Passages without end, the three kinds in turn, none twice."""
    rng = random.Random(f"heldout-{lang} {seed}")
    seen: set[str] = set()
    while True:
        for kind in KINDS:
            one = passage(rng, lang, kind)
            while one.text in seen:
                one = passage(rng, lang, kind)
            seen.add(one.text)
            yield one


def texts(lang: str, seed: int) -> Iterator[str]:
    """The passages of a language as plain text."""
    return (one.text for one in passages(lang, seed))
