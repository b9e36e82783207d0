"""The miniature's suite items: passages, instructions, translations and facts."""

import random
from collections.abc import Callable
from itertools import islice
from typing import Any

from kollama2.miniature import heldout, instructions, korean, scenes, skills
from kollama2.miniature.compose import Telling
from kollama2.miniature.instructions import Instruction, Voice
from kollama2.miniature.world import Fact, choices, facts

Item = dict[str, Any]
# Skills whose held-out answers hold a combination that no training answer holds.
ANSWERED = (
    skills.translation,
    skills.word_translation,
    skills.sum_question,
    skills.word_problem,
    skills.listing,
    skills.which_kind,
    skills.rewriting,
    skills.story_request,
    skills.continuation,
)


def _text(lang: str, seed: int, size: int) -> list[Item]:
    found = islice(heldout.passages(lang, seed), size)
    return [
        {"id": f"text-{lang}-{i}", "cluster": one.cluster, "kind": one.kind, "text": one.text}
        for i, one in enumerate(found)
    ]


def user(row: Instruction) -> list[dict[str, str]]:
    """The question of a row as the messages of a chat."""
    return [{"role": "user", "content": f"{row.instruction}\n{row.input}".strip()}]


def _held_rows(rng: random.Random, size: int) -> list[Instruction]:
    """Different held-out Korean rows: facts and each skill in turn."""
    found: dict[str, Instruction] = {}
    while len(found) < size:
        voice = Voice(rng, "ko", held=True)
        if len(found) % 3 == 0:
            one = instructions.ask_fact(voice, rng.choice(scenes.known("ko")))
        else:
            one = ANSWERED[rng.randrange(len(ANSWERED))](voice)
        found.setdefault(one.instruction + one.input, one)
    return list(found.values())


def _instruct(seed: int, size: int) -> list[Item]:
    rng = random.Random(f"suite instruct-ko {seed}")
    rows = _held_rows(rng, size)
    items = []
    for i, one in enumerate(rows):
        # Another question of the same kind, so that the gain is in what it says, not in its form.
        others = [r for r in rows if r.output != one.output]
        alike = [r for r in others if r.kind == one.kind] or others
        items.append(
            {
                "id": f"instruct-ko-{i}",
                "cluster": f"{one.kind} {one.key}".strip(),
                "kind": one.kind,
                "messages": user(one),
                "answer": one.output,
                "wrong": user(rng.choice(alike)) if alike else [],
            }
        )
    return items


def _translate(seed: int, size: int) -> list[Item]:
    rng = random.Random(f"suite translate {seed}")
    found: dict[str, Item] = {}
    while len(found) < size:
        frame = rng.choice(scenes.SENTENCES)
        line = scenes.sentence(rng, frame, held=True)
        digits = rng.random() < 0.3
        register = rng.choice(korean.REGISTERS)
        en = Telling("en", digits=digits).say(line)
        ko = Telling("ko", register, digits=digits).say(line)
        found.setdefault(
            en, {"id": f"translate-{len(found)}", "cluster": frame.name, "en": en, "ko": ko}
        )
    return list(found.values())


def question(rng: random.Random, fact: Fact, lang: str) -> Item:
    """A multiple-choice question about a fact; the choices differ in the answer alone."""
    voice = Voice(rng, lang, held=True)
    asked = voice.fresh().say(scenes.fact_line(rng, fact, lang, True, "ask"))
    answers = [instructions.short_answer(voice, fact, answer) for answer in choices(fact, rng)]
    return {
        "cluster": fact.subject.ko if lang == "ko" else fact.subject.en,
        "relation": fact.relation,
        "messages": [{"role": "user", "content": asked}],
        "choices": answers,
        "known_in": fact.known_in,
    }


def _facts(lang: str, seed: int, size: int) -> list[Item]:
    """As many facts known in English only as facts known in both, gold positions in turn."""
    rng = random.Random(f"suite facts-{lang} {seed}")
    groups = [[f for f in facts() if f.known_in == where] for where in ("en", "both")]
    for group in groups:
        rng.shuffle(group)
    turns = [fact for both in zip(*groups, strict=False) for fact in both][:size]
    items = []
    for i, fact in enumerate(turns):
        item = question(rng, fact, lang)
        # Pairs of items share a position, so that both groups meet all four equally often.
        gold = i // 2 % 4
        answers = item["choices"]
        answers[0], answers[gold] = answers[gold], answers[0]
        items.append({"id": f"facts-{lang}-{i}", **item, "gold": gold})
    return items


def _answers(seed: int, size: int) -> list[Item]:
    rows = _held_rows(random.Random(f"suite answers-ko {seed}"), size)
    return [
        {
            "id": f"answers-ko-{i}",
            "cluster": f"{one.kind} {one.key}".strip(),
            "messages": user(one),
            "reference": one.output,
        }
        for i, one in enumerate(rows)
    ]


TASKS: dict[str, tuple[int, Callable[[int, int], list[Item]]]] = {
    "text-ko": (120, lambda seed, size: _text("ko", seed, size)),
    "text-en": (120, lambda seed, size: _text("en", seed, size)),
    "instruct-ko": (100, _instruct),
    "translate": (100, _translate),
    "facts-ko": (160, lambda seed, size: _facts("ko", seed, size)),
    "facts-en": (160, lambda seed, size: _facts("en", seed, size)),
    "answers-ko": (40, _answers),
}


def items(name: str, seed: int = 0, size: int | None = None) -> list[Item]:
    """The items of a task; `TASKS` has the names and how many there are by default."""
    default, make = TASKS[name]
    return make(seed, size or default)
