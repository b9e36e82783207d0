"""How many cheap tricks pass as faithful answers, and how many real answers do not.

    python bench/fidelity.py --questions FILE --answers FILE --english FILE [--column turns.0]

`--questions` are JSON lines or CSV with the questions of a suite's task (`--column` says where);
`--answers` and `--english` are Alpaca-form JSON lists in Korean and in English. Every trick answers
every question, the real answers are 2,000 with their own questions; a number is the share of
faithful answers. Names of faults stand behind it with how often each was found.
"""

import argparse
import csv
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kollama2.evaluation.faults import stock_phrases
from kollama2.evaluation.fidelity import measure_answer

REAL = 2000
MARKS = (
    "[/INST]",
    "</s>",
    "<|im_end|>",
    "<|eot_id|>",
    "<end_of_turn>",
    "### Response:",
    "### 응답:",
)


def questions(path: Path, column: str) -> list[str]:
    """The texts at a path such as `turns.0` in every row."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream)) if path.suffix == ".csv" else map(json.loads, stream)
        found = []
        for value in rows:
            for step in column.split("."):
                value = value[int(step)] if isinstance(value, list) else value[step]
            found.append(value)
    return found


def alpaca(path: Path) -> list[tuple[str, str]]:
    """Questions and answers, in an order of chance that is always the same."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    random.Random(0).shuffle(rows)
    return [(f"{row['instruction']}\n{row['input']}".strip(), row["output"]) for row in rows]


def mixed(texts: Sequence[str], draw: random.Random, what: str) -> list[str]:
    """Texts with their syllables or words in an order of chance, or with any syllables."""
    found = []
    for text in texts:
        if what == "words":
            words = text.split()
            found.append(" ".join(draw.sample(words, len(words))))
            continue
        own = [one for one in text if "가" <= one <= "힣"]
        others = draw.sample(own, len(own))
        if what == "any":
            others = [chr(draw.randrange(0xAC00, 0xD7A4)) for _ in own]
        rest = iter(others)
        found.append("".join(next(rest) if "가" <= one <= "힣" else one for one in text))
    return found


def tricks(asked: list[str], korean: list[str], english: list[str]) -> dict[str, list[str]]:
    """What a model can say that has learned nothing, one answer for each question."""
    count, draw = len(asked), random.Random(0)
    korean = korean[:count]
    long = [one for one in korean if len(one) > 60]
    long = (long * (count // len(long) + 1))[:count]
    firsts = [one.split(".")[0] for one in long]
    found = {
        "constant 네.": ["네."] * count,
        "네. and 아니요. in turn": (["네.", "아니요."] * count)[:count],
        "echo": asked,
        "echo, twice": [f"{one}\n{one}" for one in asked],
        "first half of an echo": [one[: len(one) // 2] for one in asked],
        "echo in 질문: … 답변:": [f"질문: {one}\n답변:" for one in asked],
        "one English sentence": ["I'm sorry, but I can only answer in English."] * count,
        "English answers": english[:count],
        "loop": [f"{one}. " * 8 for one in firsts],
        "loop with a counter": [
            "\n".join(f"{number}. {one}." for number in range(1, 9)) for one in firsts
        ],
        "any syllables": mixed(long, draw, "any"),
        "syllables out of order": mixed(long, draw, "syllables"),
        "words out of order": mixed(long, draw, "words"),
    }
    found |= {f"answer and {mark}": [f"{one}\n{mark}" for one in korean] for mark in MARKS}
    return found


def judged(pairs: list[tuple[str, str]]) -> tuple[float, dict[str, int]]:
    """The share of faithful answers, and how often each fault was found."""
    stock = stock_phrases([answer for _, answer in pairs])
    found = [
        measure_answer(answer, stopped=True, question=question, stock=common)
        for (question, answer), common in zip(pairs, stock, strict=True)
    ]
    faults = Counter(name for one in found for name in one.faults())
    return sum(one.fidelity for one in found) / len(found), dict(faults.most_common())


def main() -> None:
    """Print the table, and the real answers that fail."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--column", default="turns.0")
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--english", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    asked = questions(given.questions, given.column)
    real, english = alpaca(given.answers), [answer for _, answer in alpaca(given.english)]
    table = {
        name: judged(list(zip(asked, said, strict=True)))
        for name, said in tricks(asked, [answer for _, answer in real], english).items()
    }
    table["real answers"] = judged(real[:REAL])
    if given.json:
        print(json.dumps(table, ensure_ascii=False))
        return
    for name, (share, faults) in table.items():
        told = ", ".join(f"{fault} {count}" for fault, count in faults.items())
        print(f"{name:28} {100 * share:6.2f} %  {told}")
    for question, answer in real[:REAL]:
        faults = measure_answer(answer, stopped=True, question=question).faults()
        if faults:
            print(f"\n{', '.join(faults)}\n  Q: {question[:200]!r}\n  A: {answer[:200]!r}")


if __name__ == "__main__":
    main()
