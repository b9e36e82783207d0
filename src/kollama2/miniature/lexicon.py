"""The words of the world (words.txt): aligned Korean and English entries with their classes."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, eq=False)
class Noun:
    """One thing in both languages; each entry is one object and equal to itself only.

    `kind` says in which frames it fits; `unit` is its Korean counter; `named` marks proper names,
    whose Latin spelling follows in brackets at first mention; `she` is a person's gender;
    `adnominal` is the form of a colour before a noun; `mass` English nouns have no plural; a
    `pair` has nothing else (shoes).
    """

    ko: str
    en: str
    kind: str
    unit: str = "개"
    named: bool = False
    she: bool = False
    adnominal: str = ""
    mass: bool = False
    pair: bool = False


@dataclass(frozen=True, eq=False)
class Verb:
    """An adjective in both languages (a verb, in Korean); `kind` says in which frames it fits."""

    ko: str
    en: str
    kind: str


def rows(name: str) -> Iterator[str]:
    """The lines of a data file of this package without comments and blanks."""
    text = (files("kollama2.miniature") / name).read_text(encoding="utf-8")
    return (line for line in text.splitlines() if line and not line.startswith("#"))


def _entries() -> Iterator[tuple[str, list[str]]]:
    for line in rows("words.txt"):
        kind, _, text = line.partition(" ; ")
        for item in text.split("|"):
            yield kind, item.split()


def _noun(kind: str, fields: list[str]) -> Noun:
    ko, en = fields[0].replace("_", " "), fields[1]
    last = fields[2] if len(fields) > 2 else "개"
    if kind in ("person", "town"):
        return Noun(ko, en, kind, "명", named=True, she=last == "f")
    if kind == "colour":
        return Noun(ko, en, kind, adnominal=last)
    mass, pair = en.endswith("*"), en.endswith("=")
    en = en.rstrip("*=").replace("_", " ")
    return Noun(ko, en, kind, last, mass=mass, pair=pair, she=en.endswith("mother"))


def _read() -> tuple[dict[str, tuple[Noun, ...]], dict[str, tuple[Verb, ...]]]:
    nouns: dict[str, tuple[Noun, ...]] = {}
    verbs: dict[str, tuple[Verb, ...]] = {}
    for kind, fields in _entries():
        if kind.startswith("adjective "):
            kind = kind.removeprefix("adjective ")
            verbs[kind] = (*verbs.get(kind, ()), Verb(fields[0], fields[1], kind))
        else:
            nouns[kind] = (*nouns.get(kind, ()), _noun(kind, fields))
    return nouns, verbs


NOUNS, VERBS = _read()


def _named(kind: str, english: str) -> tuple[Noun, ...]:
    """The nouns of a kind with these English names."""
    names = [name.replace("_", " ") for name in english.split()]
    return tuple(noun for noun in NOUNS[kind] if noun.en in names)


PEOPLE, TOWNS = NOUNS["person"], NOUNS["town"]

# Classes made of others; frames may ask for these as well.
NOUNS["animal"] = NOUNS["pet"] + NOUNS["farm"] + NOUNS["wild"]
NOUNS["food"] = NOUNS["fruit"] + NOUNS["snack"] + NOUNS["meal"]
NOUNS["piece"] = NOUNS["fruit"] + NOUNS["snack"]
NOUNS["solid"] = tuple(noun for noun in NOUNS["thing"] if noun.en not in ("map", "photo"))
NOUNS["item"] = tuple(noun for noun in NOUNS["solid"] if not noun.pair)
NOUNS["carried"] = _named("item", "bag umbrella watch cup key ball pencil flute")
NOUNS["lost"] = NOUNS["carried"] + NOUNS["read"]
NOUNS["berry"] = _named("fruit", "apple pear peach tangerine strawberry")
NOUNS["warm"] = _named("drink", "water milk green_tea")
NOUNS["hot"] = _named("drink", "coffee milk green_tea")
NOUNS["cool"] = _named("drink", "water milk juice")
NOUNS["bloom"] = _named("colour", "red yellow white pink purple")
NOUNS["open"] = _named("venue", "market library restaurant bakery post_office museum bank theater")
NOUNS["outing"] = _named("venue", "market library park restaurant bakery museum theater")
NOUNS["winter"] = _named("worn", "coat sweater jacket")
NOUNS["load"] = _named("item", "bag box basket")
NOUNS["walker"] = _named("farm", "horse cow pig sheep") + _named("pet", "cat dog rabbit")
NOUNS["goods"] = NOUNS["thing"] + NOUNS["read"]

# What is conjugated as an adjective: 크다 stays 크다 in the plain present, 가다 becomes 간다.
ADJECTIVES = frozenset(word.ko for group in VERBS.values() for word in group) | frozenset(
    (
        "유명하다 친하다 많다 좋다 같다 높다 길다 멀다 맞다 쉽다 어렵다 고맙다 반갑다 낫다 무섭다 "
        "그렇다 뜨겁다 재미있다 싶다"
    ).split()
)
