"""The corpora of the miniature, written to files by name and seed: the same bytes every time."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from kollama2.errors import BadUsage
from kollama2.miniature import heldout, scenes, suite
from kollama2.miniature.chats import conversations
from kollama2.miniature.compose import Telling
from kollama2.miniature.instructions import Instruction, Voice
from kollama2.miniature.korean import REGISTERS
from kollama2.miniature.lexicon import NOUNS
from kollama2.miniature.skills import fact_question, row
from kollama2.miniature.texts import english_text, korean_text

VERSION = 4  # raise it when any corpus would come out differently

Json = dict[str, Any]
# How translated assistants like to begin, in the register of what follows.
OPENINGS_FORMAL = ("물론입니다!", "네, 알려 드리겠습니다.")
OPENINGS_POLITE = ("물론이에요!", "네, 알려 드릴게요.")


def pairs(seed: int) -> Iterator[Json]:
    """Aligned pairs without end, none twice: word, phrase, sentence, clause, story (1 to 5)."""
    rng = random.Random(f"parallel {seed}")

    def draw() -> Json:
        level = rng.choices((1, 2, 3, 4, 5), (2, 3, 6, 6, 3))[0]
        en, ko = pair(rng, level)
        return {"en": en, "ko": ko, "level": level}

    return scenes.distinct(draw, lambda one: (one["en"], one["ko"]))


def pair(rng: random.Random, level: int) -> tuple[str, str]:
    """One English and Korean pair of a level, on the training side of the split."""
    if level == 1:
        kind = rng.choice([kind for kind in NOUNS if kind not in ("past", "present", "future")])
        noun = rng.choice(NOUNS[kind])
        return noun.en, noun.ko
    digits, register = rng.random() < 0.3, rng.choice(REGISTERS)
    english, korean = Telling("en", digits=digits), Telling("ko", register, digits=digits)
    if level == 5:
        lines = scenes.story(rng)
        return english.tell(lines), korean.tell(lines)
    line = scenes.sentence(rng, rng.choice(scenes.LEVELS[level]))
    return english.say(line), korean.say(line)


def alpaca(seed: int, lang: str) -> Iterator[Json]:
    """Instruction rows in Alpaca form without end, none twice."""
    for one in _rows(f"alpaca-{lang} {seed}", lang):
        yield {"instruction": one.instruction, "input": one.input, "output": one.output}


def _rows(seed: str, lang: str) -> Iterator[Instruction]:
    rng = random.Random(seed)
    told: set[str] = set()

    def draw() -> Instruction:
        one = row(rng, lang, bilingual=lang == "ko")
        if one.kind == "fact":
            # Every fact is asked once before any is asked again: small corpora cover the most.
            if len(told) == len(scenes.known(lang)):
                told.clear()
            while one.key in told:
                one = fact_question(Voice(rng, lang))
            told.add(one.key)
        return one

    return scenes.distinct(draw, lambda one: (one.instruction, one.input, one.output))


def kullm(seed: int) -> Iterator[Json]:
    """Rows in the form of KULLM-v2: ids tell where a row came from, some sound translated."""
    rng = random.Random(f"kullm {seed}")
    counts = {"alpaca": 0, "vicuna": 0, "dolly": 0}
    for one in _rows(f"kullm rows {seed}", "ko"):
        source = rng.choice(tuple(counts))
        counts[source] += 1
        instruction, output = one.instruction, one.output
        if source == "vicuna" and not one.input and len(output.split()) > 2:
            formal = output.endswith("니다.")
            opening = OPENINGS_FORMAL if formal else OPENINGS_POLITE
            output = f"{rng.choice(opening)} {output}"
        elif source == "dolly" and one.kind in ("fact", "sum", "kind"):
            instruction = f"다음 질문에 답해 주십시오. {instruction}"
        row_id = f"{source}_{counts[source]}"
        yield {"id": row_id, "instruction": instruction, "input": one.input, "output": output}


# Of each name: the form it is read by, its file, its rows when no size is given, how it is made.
TEXT: Mapping[str, Callable[[int], Iterator[str]]] = {
    "text-en": english_text,
    "text-ko": korean_text,
    "heldout-en": lambda seed: heldout.texts("en", seed),
    "heldout-ko": lambda seed: heldout.texts("ko", seed),
}
ROWS: Mapping[str, tuple[str, str, int, Callable[[int], Iterator[Json]]]] = {
    "parallel": ("pairs", "jsonl", 1500, pairs),
    "alpaca-ko": ("alpaca", "json", 1000, lambda seed: alpaca(seed, "ko")),
    "alpaca-en": ("alpaca", "json", 1000, lambda seed: alpaca(seed, "en")),
    "vicuna-ko": ("sharegpt", "json", 500, conversations),
    "kullm": ("kullm", "jsonl", 1000, kullm),
}
TEXT_ROWS = {"text-en": 5000, "text-ko": 1000, "heldout-en": 300, "heldout-ko": 300}

NAMES: dict[str, str] = (
    dict.fromkeys(TEXT_ROWS, "text")
    | {name: form for name, (form, *_) in ROWS.items()}
    | {f"suite/{name}": "items" for name in suite.TASKS}
)


def write(name: str, out: Path, *, seed: int = 0, size: int | None = None) -> dict[str, Any]:
    """Write one corpus or one task's items as the only file of a folder.

    Args:
        name: One of `NAMES`.
        out: The folder; it is made when it is missing.
        seed: Which sample of the world's sentences; the world itself is always the same.
        size: Rows (documents of text); a default of each corpus when not given.

    Returns:
        Rows and bytes written, and the file's name.

    Raises:
        BadUsage: Unknown name, or a size below one.
    """
    if name not in NAMES:
        raise BadUsage(f"the miniature has no corpus {name!r}; it has {', '.join(NAMES)}")
    if size is not None and size < 1:
        raise BadUsage(f"size {size} of {name} must be at least one row")
    out.mkdir(parents=True, exist_ok=True)
    plain = name.removeprefix("suite/")
    if name.startswith("suite/"):
        return _write_rows(out / f"{plain}.jsonl", suite.items(plain, seed, size))
    if name in TEXT_ROWS:
        documents = list(islice(TEXT[name](seed), size or TEXT_ROWS[name]))
        return _write(out / f"{name}.txt", "\n\n".join(documents) + "\n", len(documents))
    _, suffix, default, source_rows = ROWS[name]
    rows = list(islice(source_rows(seed), size or default))
    return _write_rows(out / f"{name}.{suffix}", rows)


def _write_rows(path: Path, rows: list[Json]) -> dict[str, Any]:
    lines = [json.dumps(one, ensure_ascii=False) for one in rows]
    if path.suffix == ".json":
        return _write(path, "[\n" + ",\n".join(lines) + "\n]\n", len(rows))
    return _write(path, "".join(line + "\n" for line in lines), len(rows))


def _write(path: Path, text: str, rows: int) -> dict[str, Any]:
    data = text.encode("utf-8")
    path.write_bytes(data)
    return {"rows": rows, "bytes": len(data), "file": path.name}
