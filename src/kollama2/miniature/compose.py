"""Templates into sentences: one line of slots and two templates becomes English or Korean.

Korean templates: `{p:은}` a slot with its particle, `{job:이다}` with the copula, `{n#k}` the
number in slot k with the counter of the noun in slot n, `{k:명}` with a counter named here,
`{k:원/이다}` with a particle after it, `{가다.}` a verb that ends the sentence in the register and
tense of the line, `{가다.고}` with a connective ending, `{가다.past}`, `{가다.not}`, `{가다.ask}`,
`{가다.hon}` and their chains. English templates: `{n:a}` with an article, `{n:s}` plural, `{n:k}`
agreeing with the number in slot k, `{p:she}` `{p:her}` `{p:his}` pronouns, `<go>` a verb in the
tense of the line, `<not go>` its negation.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from kollama2.korean import josa
from kollama2.miniature import english, korean, numerals
from kollama2.miniature.lexicon import ADJECTIVES, Noun, Verb

Value = Noun | Verb | int | str
CODE = re.compile(r"\{([^{}]*)\}|<([^<>]*)>")
PRONOUNS = {"she": ("she", "he"), "her": ("her", "him"), "his": ("her", "his")}


@dataclass(frozen=True)
class Line:
    """One sentence before it has a language: templates, what fills them, when it happens."""

    ko: str
    en: str
    slots: Mapping[str, Value]
    tense: str = "present"


@dataclass
class Telling:
    """How a text is told: language, register, numerals; it keeps which names were introduced."""

    lang: str
    register: str = "plain"
    digits: bool = False
    introduced: set[str] = field(default_factory=set)

    def say(self, line: Line) -> str:
        """The sentence of a line in this telling."""
        if self.lang == "ko":
            return "".join(
                part[0] if len(part) == 1 else self._korean(part, line) for part in parts(line.ko)
            )
        text = "".join(
            part[0] if len(part) == 1 else self._english(part, line) for part in parts(line.en)
        )
        return text[:1].upper() + text[1:] if text.endswith((".", "?", "!")) else text

    def tell(self, lines: Sequence[Line]) -> str:
        """The sentences of several lines as one paragraph."""
        return " ".join(map(self.say, lines))

    def _korean(self, part: tuple[str, ...], line: Line) -> str:
        form, name, option = part
        if form == "predicate":
            value = line.slots.get(name, name)
            assert isinstance(value, Verb | str), value
            verb = value if isinstance(value, str) else value.ko
            return predicate(verb, option, self.register, line.tense)
        if form == "count":
            noun_slot, _, number_slot = name.partition("#")
            noun = line.slots[noun_slot]
            assert isinstance(noun, Noun), noun
            return self._nominal(self._count(line.slots[number_slot], noun.unit), option)
        value = line.slots.get(name, name)
        if isinstance(value, int):
            unit, _, option = option.partition("/")
            return self._nominal(self._count(value, unit), option)
        return self._nominal(value, option)

    def _count(self, value: Value, unit: str) -> str:
        assert isinstance(value, int), value
        # Months and prices stay in digits, which both languages share.
        return numerals.count(value, unit, digits=self.digits or unit in ("월", "원"))

    def _nominal(self, value: Value, option: str) -> str:
        if isinstance(value, str):
            return nominal(value, option, self.register)
        assert isinstance(value, Noun), value
        if option == "adn":
            return value.adnominal
        word = value.ko
        if value.named and word not in self.introduced:
            self.introduced.add(word)
            word = f"{word}({value.en})"
        return nominal(word, option, self.register)

    def _english(self, part: tuple[str, ...], line: Line) -> str:
        form, name, option = part
        if form == "verb":
            return english.inflect(name, line.tense, negative=option == "not")
        value = line.slots[name]
        if isinstance(value, str):
            return value
        number = line.slots.get(option)
        size = number if isinstance(number, int) else 0
        return english_value(value, option, size, self.digits)


@lru_cache(maxsize=4096)
def parts(template: str) -> tuple[tuple[str, ...], ...]:
    """A template in pieces: (literal,) or (form, name, option)."""
    found: list[tuple[str, ...]] = []
    start = 0
    for match in CODE.finditer(template):
        if match.start() > start:
            found.append((template[start : match.start()],))
        found.append(_part(match.group(1), match.group(2)))
        start = match.end()
    if start < len(template):
        found.append((template[start:],))
    return tuple(found)


def _part(code: str | None, verb: str | None) -> tuple[str, str, str]:
    if verb is not None:
        negative = verb.startswith("not ")
        return ("verb", verb.removeprefix("not "), "not" if negative else "")
    assert code is not None
    if "." in code:
        name, _, marks = code.partition(".")
        return ("predicate", name, marks)
    name, _, option = code.partition(":")
    return ("count" if "#" in name else "value", name, option)


@lru_cache(maxsize=65536)
def nominal(word: str, option: str, register: str) -> str:
    """A noun with its particle, or with the copula in this register."""
    if option == "이다":
        return korean.copula(word, register)
    if option == "이past":
        return korean.copula(word, register, "past")
    if option == "이ask":
        # 무엇인가요 is what people say; 무엇이에요 is stiff.
        if register == "polite":
            return word + "인가요"
        return korean.copula(word, register, question=True)
    return josa.attach(word, option) if option else word


@lru_cache(maxsize=65536)
def predicate(phrase: str, marks: str, register: str, tense: str) -> str:
    """A verb (its last word is conjugated) with the marks of a template, such as `not.past`."""
    head, _, verb = phrase.rpartition(" ")
    adjective = verb in ADJECTIVES
    lead, question, ending = (head + " " if head else ""), False, ""
    for mark in filter(None, marks.split(".")):
        if mark == "not":
            extra, verb = korean.negative(verb)
            lead += extra
        elif mark == "hon":
            verb = korean.honorific(verb)
        elif mark == "ask":
            question = True
        elif mark in korean.TENSES:
            tense = mark
        else:
            ending = mark
    if ending:
        return lead + korean.connect(verb, ending, adjective=adjective)
    return lead + korean.final_form(verb, register, tense, adjective=adjective, question=question)


@lru_cache(maxsize=65536)
def english_value(value: Noun | Verb | int, option: str, number: int, digits: bool) -> str:
    """What fills an English slot; `number` is that of the slot which the option names."""
    if isinstance(value, int):
        month = option == "month"
        return english.MONTHS[value - 1] if month else english.number(value, digits=digits)
    if isinstance(value, Verb) or not option:
        return english.article(value.en) if option == "a" else value.en
    if option in PRONOUNS:
        return PRONOUNS[option][0 if value.she else 1]
    if option == "a":
        return some(value)
    if option == "s":
        return many(value)
    if option == "is":
        return "are" if value.pair else "is"
    return amount(value, number)


def some(noun: Noun) -> str:
    """The noun with its article where it takes one: an apple, milk, a pair of shoes."""
    if noun.pair:
        return f"a pair of {noun.en}"
    return noun.en if noun.mass else english.article(noun.en)


def many(noun: Noun) -> str:
    """The noun in general: apples, milk, shoes."""
    return noun.en if noun.mass or noun.pair else english.plural(noun.en)


MEASURES = {"drink": "glass", "meal": "bowl"}


def amount(noun: Noun, number: int) -> str:
    """The noun after a number, with the measure that mass nouns and pairs need."""
    if not noun.pair and not noun.mass:
        return noun.en if number == 1 else english.plural(noun.en)
    measure = "pair" if noun.pair else MEASURES.get(noun.kind, "piece")
    if noun.en in ("coffee", "green tea"):
        measure = "cup"
    return f"{measure if number == 1 else english.plural(measure)} of {noun.en}"
