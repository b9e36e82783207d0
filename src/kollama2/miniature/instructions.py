"""Instruction rows: what is asked, in which voice, and questions about facts with their answers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from kollama2.miniature import scenes
from kollama2.miniature.compose import Line, Telling, Value
from kollama2.miniature.lexicon import Noun
from kollama2.miniature.world import Fact


@dataclass(frozen=True)
class Instruction:
    """One instruction with its answer; `kind` names the skill and `key` the combination asked."""

    kind: str
    instruction: str
    input: str
    output: str
    key: str = ""


@dataclass
class Voice:
    """Who asks and answers: the language, the register, and the side of the split."""

    rng: random.Random
    lang: str
    held: bool = False
    register: str = ""

    def __post_init__(self) -> None:
        self.register = self.register or self.rng.choice(("polite", "formal"))
        self.digits = self.rng.random() < 0.3
        self.telling = self.fresh()

    def fresh(self, register: str | None = None) -> Telling:
        """A telling in which no name was introduced yet."""
        return Telling(self.lang, register or self.register, digits=self.digits)

    def pick(self, ko: Sequence[str], en: Sequence[str]) -> str:
        """One of these phrasings in the language of the voice."""
        return self.rng.choice(ko if self.lang == "ko" else en)

    def say(self, ko: str, en: str, **slots: Value) -> str:
        """A sentence of a template of its own."""
        return self.telling.say(Line(ko, en, slots))

    def word(self, noun: Noun) -> str:
        """The bare word."""
        return noun.ko if self.lang == "ko" else noun.en

    def some(self, group: str, kind: str, size: int = 1) -> list[Noun]:
        """Different nouns of a kind on this side of the split."""
        values = scenes.pool(group, kind, self.held)
        chosen = self.rng.sample(values, min(size, len(values)))
        assert all(isinstance(value, Noun) for value in chosen)
        return [value for value in chosen if isinstance(value, Noun)]


# Answers in a few words; every other relation is answered by the bare word with the copula.
SHORT = {
    "home": ("{x:이다}.", "In {x}."),
    "region": ("{x}에 {있다.}.", "In the {x}."),
    "stuff": ("{x:으로} {만들다.}.", "Of {x}."),
    "month": ("{x:월/이다}.", "In {x:month}."),
    "price": ("{x:원/이다}.", "{x} won."),
    "job": ("{x:이다}.", "{x:a}."),
    "pet": ("{x:이다}.", "{x:a}."),
    "sight": ("{x:이} {있다.}.", "{x:a}."),
    "animal": ("{x:이다}.", "{x:s}."),
    "food": ("{x:이다}.", "{x:s}."),
    "famous": ("{x:이다}.", "{x:s}."),
}


def short_answer(voice: Voice, fact: Fact, answer: Noun | int | None = None) -> str:
    """The fact's answer (or another one in its place) in a few words, names introduced anew."""
    ko, en = SHORT.get(fact.relation, ("{x:이다}.", "{x}."))
    return voice.fresh().say(Line(ko, en, {"x": answer or fact.answer}))


def ask_fact(voice: Voice, fact: Fact, shared: Telling | None = None) -> Instruction:
    """A question about a fact, answered in a sentence or in a few words."""
    ask = scenes.fact_line(voice.rng, fact, voice.lang, voice.held, "ask")
    question = (shared or voice.fresh()).say(ask)
    if voice.rng.random() < 0.5:
        answer = short_answer(voice, fact)
    else:
        tell = scenes.fact_line(voice.rng, fact, voice.lang, voice.held)
        answer = (shared or voice.fresh()).say(tell)
    return Instruction("fact", question, "", answer, f"{fact.relation} {fact.subject.ko}")
