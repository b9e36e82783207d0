"""Conversations in ShareGPT form: two to five exchanges about someone, a story, anything."""

import random
from collections.abc import Iterator
from typing import Any

from kollama2.miniature import instructions, scenes, skills
from kollama2.miniature.compose import Line
from kollama2.miniature.instructions import Voice

OPENINGS = ("안녕하세요! 무엇을 도와드릴까요?", "안녕하세요. 궁금한 것을 물어보세요.")
STARTS_WITH_MODEL = 0.1


def _about_someone(voice: Voice) -> list[tuple[str, str]]:
    groups = scenes.about(voice.lang)
    subject = voice.rng.choice([s for s, facts in groups.items() if len(facts) > 2])
    facts = groups[subject]
    chosen = voice.rng.sample(facts, min(len(facts), voice.rng.randint(2, 5)))
    rows = [instructions.ask_fact(voice, fact, voice.telling) for fact in chosen]
    return [(one.instruction, one.output) for one in rows]


def _about_story(voice: Voice) -> list[tuple[str, str]]:
    told = voice.telling
    lines = scenes.story(voice.rng)
    person = lines[0].slots["p"]
    asked = told.say(Line("{p}의 이야기를 들려주세요.", "", {"p": person}))
    cut = voice.rng.randint(2, len(lines) - 1)
    turns = [(asked, told.tell(lines[:cut]))]
    more = ("그다음에는 어떻게 됐어요?", "이야기를 이어 가 주세요.", "그 뒤의 이야기도 궁금해요.")
    for line in lines[cut:]:
        turns.append((voice.rng.choice(more), told.say(line)))
    return turns


def _mixed(voice: Voice) -> list[tuple[str, str]]:
    turns = []
    for _ in range(voice.rng.randint(2, 4)):
        one = skills.row(voice.rng, voice.lang, register=voice.register)
        turns.append((f"{one.instruction}\n{one.input}".strip(), one.output))
    return turns


def conversations(seed: int) -> Iterator[dict[str, Any]]:
    """ShareGPT conversations in Korean without end, none twice; one in ten starts with `gpt`."""
    rng = random.Random(f"vicuna-ko {seed}")

    def draw() -> list[tuple[str, str]]:
        voice = Voice(rng, "ko")
        kind = rng.choices((_about_someone, _about_story, _mixed), (4, 2, 4))[0]
        return kind(voice)[:5]

    for number, exchanges in enumerate(scenes.distinct(draw, tuple), 1):
        turns = []
        if rng.random() < STARTS_WITH_MODEL:
            turns.append({"from": "gpt", "value": rng.choice(OPENINGS)})
        for asked, answered in exchanges:
            turns += [{"from": "human", "value": asked}, {"from": "gpt", "value": answered}]
        yield {"id": f"mini_{number}", "conversations": turns}
