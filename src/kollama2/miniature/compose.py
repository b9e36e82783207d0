"""Templates into sentences: one line of slots and two templates becomes English or Korean.

Korean templates: `{p:은}` a slot with its particle, `{job:이다}` with the copula, `{n#k}` the number
in slot k with the counter of the noun in slot n, `{k:명}` with a counter named here, `{가다.}` a verb
that ends the sentence in the register and tense of the line, `{가다.고}` with a connective ending,
`{가다.past}`, `{가다.not}`, `{가다.ask}`, `{가다.hon}` and their chains. English templates: `{n:a}` with an
article, `{n:s}` plural, `{n:k}` agreeing with slot k, `{p:she}` `{p:her}` `{p:his}` pronouns,
`<go>` a verb in the tense of the line, `<not go>` its negation, `<go:ing>`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kollama2.miniature import english, korean, numerals
from kollama2.miniature.lexicon import ADJECTIVES, Noun, Verb

Value = Noun | Verb | int | str
FIELD = re.compile(r"\{([^{}]*)\}")
INFLECTED = re.compile(r"<([^<>]*)>")
COPULA = {
    "이고": "고",
    "이지만": "지만",
    "이면": "면",
    "이라서": "라서",
    "이며": "며",
    "이었지만": "었지만",
}
PRONOUNS = {
    "she": ("she", "he"),
    "her": ("her", "him"),
    "his": ("her", "his"),
    "girl": ("girl", "boy"),
    "woman": ("woman", "man"),
}


@dataclass(frozen=True)
class Line:
    """One sentence before it has a language: templates, what fills them, when it happens."""

    ko: str
    en: str
    slots: Mapping[str, Value]
    tense: str = "present"


@dataclass
class Telling:
    """How a text is told: language, register, numerals; it remembers which names were introduced."""

    lang: str
    register: str = "plain"
    digits: bool = False
    brackets: bool = True
    introduced: set[str] = field(default_factory=set)

    def say(self, line: Line) -> str:
        """The sentence of a line in this telling."""
        if self.lang == "ko":
            return self._korean(line)
        return self._english(line)

    def tell(self, lines: list[Line]) -> str:
        """The sentences of several lines as one paragraph."""
        return " ".join(self.say(line) for line in lines)

    def _korean(self, line: Line) -> str:
        def fill(match: re.Match[str]) -> str:
            code = match.group(1)
            if "." in code:
                return self._predicate(code, line)
            name, _, option = code.partition(":")
            if "#" in name:  # a count of a noun, perhaps with a particle
                noun, number = name.split("#")
                counted = self._count(line.slots[number], _noun(line.slots[noun]).unit)
                return self._nominal(counted, option)
            value = line.slots.get(name, name)
            if isinstance(value, int):
                unit, _, option = option.partition("/")
                return self._nominal(self._count(value, unit), option)
            return self._nominal(value, option)

        return FIELD.sub(fill, line.ko)

    def _count(self, value: Value, unit: str) -> str:
        assert isinstance(value, int), value
        # Months and prices stay in digits, which both languages share.
        return numerals.count(value, unit, digits=self.digits or unit in ("월", "원"))

    def _nominal(self, value: Value, option: str) -> str:
        if option == "adn":
            return _noun(value).adnominal
        word = value if isinstance(value, str) else value.ko
        if isinstance(value, Noun) and value.named and self.brackets:
            if word not in self.introduced:
                self.introduced.add(word)
                word = f"{word}({value.en})"
        if option == "이다":
            return korean.copula(word, self.register)
        if option == "이ask":
            if self.register == "polite":
                return korean.copula_connect(word, "인가요")
            return korean.copula(word, self.register, question=True)
        if option == "이past":
            return korean.copula(word, self.register, "past")
        if option in COPULA:
            return korean.copula_connect(word, COPULA[option])
        if option == "인":
            return word + "인"
        return korean.particle(word, option) if option else word

    def _predicate(self, code: str, line: Line) -> str:
        name, *marks = code.split(".")
        value = line.slots.get(name, name)
        verb = value.ko if isinstance(value, Verb) else str(value)
        prefix, tense, question = "", line.tense, False
        adjective = verb.split()[-1] in ADJECTIVES
        head, _, verb = verb.rpartition(" ")
        ending = ""
        for mark in filter(None, marks):
            if mark == "not":
                extra, verb = korean.negative(verb)
                prefix += extra
            elif mark == "hon":
                verb = korean.honorific(verb)
            elif mark == "ask":
                question = True
            elif mark in korean.TENSES:
                tense = mark
            else:
                ending = mark
        lead = (head + " " if head else "") + prefix
        if ending:
            return lead + korean.connect(verb, ending, adjective=adjective)
        return lead + korean.final_form(
            verb, self.register, tense, adjective=adjective, question=question
        )

    def _english(self, line: Line) -> str:
        def fill(match: re.Match[str]) -> str:
            name, _, option = match.group(1).partition(":")
            return self._english_value(line, line.slots[name], option)

        def verb(match: re.Match[str]) -> str:
            code = match.group(1)
            if code.endswith(":ing"):
                return english.gerund(code[:-4])
            negative = code.startswith("not ")
            return english.inflect(code.removeprefix("not "), line.tense, negative=negative)

        text = INFLECTED.sub(verb, FIELD.sub(fill, line.en))
        return text[:1].upper() + text[1:] if text.endswith((".", "?", "!")) else text

    def _english_value(self, line: Line, value: Value, option: str) -> str:
        if isinstance(value, int):
            if option == "month":
                return english.MONTHS[value - 1]
            return english.number(value, digits=self.digits)
        if isinstance(value, str):
            return value
        if isinstance(value, Verb):
            return english.article(value.en) if option == "a" else value.en
        if option in PRONOUNS:
            return PRONOUNS[option][0 if value.she else 1]
        if option == "a":
            return some(value)
        if option == "s":
            return value.en if value.mass or value.pair else english.plural(value.en)
        if option == "is":
            return "are" if value.pair else "is"
        if option:
            return amount(value, line.slots[option])
        return value.en


def some(noun: Noun) -> str:
    """The noun with its article where it takes one: an apple, milk, a pair of shoes, glasses."""
    if noun.pair:
        return f"a pair of {noun.en}"
    return noun.en if noun.mass else english.article(noun.en)


def amount(noun: Noun, number: Value) -> str:
    """The noun after a number, with the measure that mass nouns and pairs need."""
    one = number == 1
    if noun.pair:
        return f"{'pair' if one else 'pairs'} of {noun.en}"
    if noun.kind in ("drink", "meal"):
        measure = {"drink": "glass", "meal": "bowl"}[noun.kind]
        if noun.en in ("coffee", "green tea"):
            measure = "cup"
        return f"{measure if one else english.plural(measure)} of {noun.en}"
    if noun.mass:
        return f"{'piece' if one else 'pieces'} of {noun.en}"
    return noun.en if one else english.plural(noun.en)


def _noun(value: Value) -> Noun:
    assert isinstance(value, Noun), value
    return value


def slots_of(template: str) -> set[str]:
    """Names of the slots that a template may use (Korean verbs among them are harmless)."""
    names = set()
    for code in FIELD.findall(template):
        names |= set(re.split(r"[:#.]", code))
    return names
