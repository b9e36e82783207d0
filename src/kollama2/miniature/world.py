"""The facts of the world by seed, and which of them Korean text may state."""

import random
from dataclasses import dataclass
from functools import cache

from kollama2.miniature.lexicon import NOUNS, PEOPLE, TOWNS, Noun

PERSON_RELATIONS = ("home", "job", "animal", "food", "colour", "pet", "month", "friend", "hobby")
TOWN_RELATIONS = ("region", "sight", "famous")
THING_RELATIONS = ("stuff", "price")
# What each kind of thing may be made of, so that no umbrella is of stone.
STUFFS = {
    "가방": "가죽 천 종이",
    "의자": "나무 쇠 유리",
    "상자": "나무 종이 쇠",
    "컵": "유리 은 나무",
    "접시": "유리 은 나무",
    "바구니": "나무 종이 천",
    "열쇠": "쇠 은 나무",
    "공": "가죽 천 나무",
    "시계": "나무 은 유리",
    "칼": "쇠 은 돌",
    "피리": "나무 은 돌",
    "북": "가죽 나무 쇠",
    "그릇": "돌 은 유리",
    "종": "쇠 은 유리",
    "거울": "유리 은 쇠",
    "지도": "종이 가죽 천",
}


@dataclass(frozen=True)
class Fact:
    """One fact: the relation, whom or what it is about, the answer, and where it may be stated.

    `known_in` is "both" (English and Korean corpora state it) or "en" (only English text does).
    """

    relation: str
    subject: Noun
    answer: Noun | int
    known_in: str


@cache
def facts(seed: int = 0) -> tuple[Fact, ...]:
    """All facts of the world of a seed; two fifths of each relation are known in English only."""
    rng = random.Random(f"world {seed}")
    found: list[Fact] = []
    for relation in PERSON_RELATIONS:
        found += _stated(rng, relation, [(p, _person_answer(rng, relation, p)) for p in PEOPLE])
    for relation in TOWN_RELATIONS:
        found += _stated(rng, relation, [(t, _town_answer(rng, relation)) for t in TOWNS])
    things = [noun for noun in NOUNS["thing"] if noun.ko in STUFFS]
    for relation in THING_RELATIONS:
        found += _stated(rng, relation, [(n, _thing_answer(rng, relation, n)) for n in things])
    return tuple(found)


def _stated(rng: random.Random, relation: str, rows: list[tuple[Noun, Noun | int]]) -> list[Fact]:
    order = list(range(len(rows)))
    rng.shuffle(order)
    hidden = set(order[: len(rows) * 2 // 5])
    return [
        Fact(relation, subject, answer, "en" if i in hidden else "both")
        for i, (subject, answer) in enumerate(rows)
    ]


def _person_answer(rng: random.Random, relation: str, person: Noun) -> Noun | int:
    if relation == "month":
        return rng.randint(1, 12)
    if relation == "friend":
        return rng.choice([p for p in PEOPLE if p is not person])
    return rng.choice(NOUNS["town" if relation == "home" else relation])


def _town_answer(rng: random.Random, relation: str) -> Noun:
    return rng.choice(NOUNS["food" if relation == "famous" else relation])


def _thing_answer(rng: random.Random, relation: str, thing: Noun) -> Noun | int:
    if relation == "price":
        return rng.randrange(1, 20) * 500
    names = STUFFS[thing.ko].split()
    return rng.choice([stuff for stuff in NOUNS["stuff"] if stuff.ko in names])


def choices(fact: Fact, rng: random.Random) -> list[Noun | int]:
    """The answer and three others of the same kind, the answer first."""
    pool: list[Noun | int]
    if fact.relation == "month":
        pool = list(range(1, 13))
    elif fact.relation == "price":
        pool = [n * 500 for n in range(1, 20)]
    elif fact.relation == "stuff":
        pool = list(NOUNS["stuff"])
    else:
        kind = {"home": "town", "famous": "food", "friend": "person"}.get(
            fact.relation, fact.relation
        )
        pool = list(NOUNS[kind])
    others = [v for v in pool if v not in (fact.answer, fact.subject)]
    return [fact.answer, *rng.sample(others, 3)]
