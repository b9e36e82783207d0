"""Documents of running text in one language: who is who, stories, dialogues, scenes, questions."""

import random
from collections.abc import Iterator

from kollama2.miniature import korean, scenes
from kollama2.miniature.compose import Telling
from kollama2.miniature.frames import DIALOGUES, STORIES
from kollama2.miniature.skills import row

# Korean in the English text: as much as Llama 2 has seen (Llama 2 paper, table 10: 0.06 %).
KOREAN_SHARE = 0.0006
ASKING_SHARE = 0.3


def portrait(rng: random.Random, lang: str) -> str:
    """What training text of the language may say about one person, town or thing, in some order."""
    groups = scenes.about(lang)
    subject = rng.choice(list(groups))
    facts = groups[subject]
    chosen = rng.sample(facts, min(len(facts), rng.randint(2, 5)))
    telling = _telling(rng, lang)
    return telling.tell([scenes.fact_line(rng, fact, lang) for fact in chosen])


def day(rng: random.Random, lang: str) -> str:
    """A few sentences that happen to stand together, in one register."""
    telling = _telling(rng, lang)
    return telling.tell(
        [scenes.sentence(rng, rng.choice(scenes.SENTENCES)) for _ in range(rng.randint(2, 4))]
    )


def tale(rng: random.Random, lang: str) -> str:
    """A story."""
    return _telling(rng, lang).tell(scenes.story(rng, plot=rng.choice(STORIES)))


def talk(rng: random.Random, lang: str) -> str:
    """A dialogue; people who talk are polite."""
    turns = scenes.dialogue(rng, plot=rng.choice(DIALOGUES))
    return scenes.tell_dialogue(turns, Telling(lang, "polite", digits=rng.random() < 0.3))


def asking(rng: random.Random, lang: str) -> str:
    """One to three questions or instructions with their answers."""
    mark = ("질문", "답") if lang == "ko" else ("Q", "A")
    blocks, register = [], rng.choice(("polite", "formal"))
    for _ in range(rng.randint(1, 3)):
        one = row(rng, lang, bilingual=False, register=register)
        given = f"{one.instruction} {one.input}".strip()
        blocks.append(f"{mark[0]}: {given}\n{mark[1]}: {one.output}")
    return "\n".join(blocks)


def _telling(rng: random.Random, lang: str) -> Telling:
    return Telling(lang, rng.choice(korean.REGISTERS), digits=rng.random() < 0.3)


RUNNING = ((portrait, 4), (day, 3), (tale, 2), (talk, 1))


def document(rng: random.Random, lang: str) -> str:
    """One document, by weight; `ASKING_SHARE` of them ask and answer."""
    if rng.random() < ASKING_SHARE:
        return asking(rng, lang)
    (kind,) = rng.choices([k for k, _ in RUNNING], [w for _, w in RUNNING])
    return kind(rng, lang)


def english_text(seed: int = 0) -> Iterator[str]:
    """Documents without end, none twice: English with `KOREAN_SHARE` of its bytes Korean.

    This is what the base model and its tokenizer learn from; take as many bytes as are wanted.
    """
    rng = random.Random(f"text-en {seed}")
    written = korean_bytes = 0

    def draw() -> str:
        nonlocal korean_bytes
        # The first Korean comes after the English that pays for it, so the share is never above.
        if korean_bytes + 80 < written * KOREAN_SHARE:
            frame = rng.choice(scenes.SENTENCES)
            text = _telling(rng, "ko").say(scenes.sentence(rng, frame))
            korean_bytes += len(text.encode())
            return text
        return document(rng, "en")

    for text in scenes.distinct(draw, scenes.digest):
        written += len(text.encode())
        yield text


def korean_text(seed: int = 0) -> Iterator[str]:
    """Documents without end, none twice: Korean that states no fact known in English only."""
    rng = random.Random(f"text-ko {seed}")
    return scenes.distinct(lambda: document(rng, "ko"), scenes.digest)
