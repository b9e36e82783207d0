"""How often the contamination check misses a copy or sees one where there is none, and how fast.

    python bench/contamination.py [--kobest FOLDER --split dev --text FILE …] [--megabytes 4]

Half of each task's items are planted as documents of their own, each in one of several edits; the
other half must not be found, nor anything in text that holds no item, in the instruction of a task
alone, or in a passage alone that two items share. Beside it stands lm-eval's rule (its
`decontamination` package): an item counts as seen when any 13 words in a row occur. The seconds are
of the processor. FOLDER holds KoBEST as `Task.split.tsv`, FILEs one document a line or, as .jsonl,
in the field `content` or `text`; without them the miniature's suite and Korean are used.
"""

import argparse
import contextlib
import csv
import io
import itertools
import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Tasks = Mapping[str, Sequence[Row]]
Found = set[tuple[str, str]]

# What a changed copy has in place of the endings that it found; particles by `korean.josa`.
PARTICLES = dict(
    pair.split("/")
    for pair in "은/이 는/가 이/은 가/는 을/도 를/도 에/에서 에서/에 의/에 도/만 만/도 로/로는 "
    "으로/으로는 와/랑 과/이랑".split()
)
ENDINGS = dict(
    pair.split("/")
    for pair in "합니다/해요 입니다/이에요 습니다/어요 했다/했습니다 한다/합니다 이다/입니다 "
    "된다/됩니다 었다/었습니다 았다/았습니다 였다/였습니다 있다/있어요 없다/없어요 하고/하며 "
    "해서/하여 지만/는데 다/지요 요/죠 고/며".split()
)
INSTRUCTION = (
    "다음 글을 주의 깊게 읽고, 글쓴이가 말하려는 것이 무엇인지 생각한 뒤에 "
    "알맞은 답을 하나만 고르시오."
)


def kobest(folder: Path, split: str, count: int) -> dict[str, list[Row]]:
    """The five tasks of KoBEST as rows of the project, `count` items of each at most."""

    def table(name: str) -> list[dict[str, str]]:
        with (folder / f"{name}.{split}.tsv").open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            return list(itertools.islice(rows, count))

    def chosen(asked: str, choices: list[str], gold: int) -> Row:
        return {"question": asked, "choices": choices, "gold": gold}

    tasks = {
        "boolq": [{"text": f"{one['Text']} {one['Question']}"} for one in table("BoolQ")],
        "copa": [
            chosen(one["sentence"], [one["1"], one["2"]], int(one["Answer"]) - 1)
            for one in table("COPA")
        ],
        "hellaswag": [
            chosen(one["context"], [one[f"choice{n}"] for n in range(1, 5)], int(one["label"]))
            for one in table("HellaSwag")
        ],
        "sentineg": [{"text": one["Text"]} for one in table("SentiNeg")],
        "wic": [{"text": f"{one['SENTENCE1']} {one['SENTENCE2']}"} for one in table("WiC")],
    }
    return {name: numbered(rows) for name, rows in tasks.items()}


def numbered(rows: Iterable[Row]) -> list[Row]:
    return [{**row, "id": str(at)} for at, row in enumerate(rows)]


def miniature(count: int) -> tuple[dict[str, list[Row]], Iterator[str]]:
    """Tasks of the miniature's suite, and running Korean text of another seed."""
    from kollama2.miniature import corpora, suite

    folder = Path(tempfile.mkdtemp())
    corpora.write("text-ko", folder, seed=1, size=60_000)
    tasks = {name: suite.items(name, size=count) for name in ("text-ko", "facts-ko")}
    return tasks, documents([next(folder.glob("*.txt"))])


def documents(files: Sequence[Path]) -> Iterator[str]:
    for file in files:
        for line in file.read_text(encoding="utf-8").split("\n"):
            if line.strip():
                row = json.loads(line) if file.suffix == ".jsonl" else {"text": line}
                yield row.get("content") or row.get("text", "")


def asked_and_answer(row: Row) -> tuple[str, str]:
    asked = row.get("question") or "\n".join(one["content"] for one in row.get("messages", ()))
    return asked, row["choices"][row["gold"]] if "choices" in row else row.get("answer", "")


def whole(row: Row) -> str:
    return row.get("text") or " ".join(asked_and_answer(row))


def syllables(text: str, every: int, rng: random.Random) -> str:
    """The last syllable of every k-th word replaced."""
    words = text.split()
    for at in range(rng.randrange(every), len(words), every):
        words[at] = words[at][:-1] + rng.choice("은는이가을를도만")
    return " ".join(words)


def endings(text: str, share: float, rng: random.Random) -> str:
    """Particles and verb endings replaced in this share of the words that have one."""
    return " ".join(_ended(word) if rng.random() < share else word for word in text.split())


def _ended(word: str) -> str:
    from kollama2.korean import josa

    bare = word.rstrip(".,?!\"'")
    for old, new in ENDINGS.items():
        if bare.endswith(old) and len(bare) > len(old):
            return bare[: -len(old)] + new + word[len(bare) :]
    stem, particle = josa.split(bare)[0] if bare else ("", "")
    return stem + PARTICLES.get(particle, particle) + word[len(bare) :] if len(stem) > 1 else word


def reordered(text: str, rng: random.Random) -> str:
    """The sentences in another order; a single one in two halves, the second first."""
    parts = re.split(r"(?<=[.!?])\s+", text)
    if len(parts) == 1:
        words = text.split()
        parts = [" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])]
    first = parts[0]
    rng.shuffle(parts)
    return " ".join(parts if parts[0] != first else [*parts[1:], first])


def full_width(text: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)


def between(row: Row) -> str:
    """All options between question and answer, as an exam has them."""
    asked, answer = asked_and_answer(row)
    options = " ".join(f"{n}) {one}" for n, one in enumerate(row["choices"], 1))
    return f"{asked}\n{options}\n정답: {answer}"


EDITS: dict[str, Callable[[Row, random.Random], str]] = {
    "unchanged": lambda row, rng: whole(row),
    "without spaces": lambda row, rng: whole(row).replace(" ", ""),
    "full-width": lambda row, rng: full_width(whole(row)),
    "sentences reordered": lambda row, rng: reordered(whole(row), rng),
    "every 10th word": lambda row, rng: syllables(whole(row), 10, rng),
    "every 6th word": lambda row, rng: syllables(whole(row), 6, rng),
    "every 3rd word": lambda row, rng: syllables(whole(row), 3, rng),
    "half of the endings": lambda row, rng: endings(whole(row), 0.5, rng),
    "all endings": lambda row, rng: endings(whole(row), 1, rng),
    "options between": lambda row, rng: between(row),
}


def ours(tasks: Tasks, texts: Sequence[str]) -> Found:
    from kollama2.evaluation.contamination import contamination

    return {(one.task, one.id) for one in contamination(tasks, texts).items if one.flagged}


def judged(tasks: Tasks) -> dict[str, int]:
    from kollama2.evaluation.contamination import contamination

    return {task: one["judged"] for task, one in contamination(tasks, []).counts().items()}


def harness(tasks: Tasks, texts: Sequence[str]) -> Found:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from lm_eval.decontamination.janitor import Janitor, word_ngrams
    normal = Janitor().normalize_string
    wanted: dict[str, list[tuple[str, str]]] = {}
    for task, rows in tasks.items():
        for row in rows:
            for gram in word_ngrams(normal(whole(row)), 13):
                wanted.setdefault(gram, []).append((task, row["id"]))
    found: Found = set()
    for text in texts:
        for gram in word_ngrams(normal(text), 13):
            found.update(wanted.get(gram, ()))
    return found


RULES = {"kollama2": ours, "lm-eval": harness}


def rates(tasks: Tasks, rule: Callable[[Tasks, Sequence[str]], Found]) -> Iterator[Row]:
    """By edit and task, planted items that were missed; and what was found of the other half."""
    planted = {task: rows[::2] for task, rows in tasks.items()}
    for name, edit in EDITS.items():
        some = {
            task: rows
            for task, rows in planted.items()
            if name != "options between" or "choices" in rows[0]
        }
        rng = random.Random(name)
        copies = [f"앞 글. {edit(row, rng)} 뒤 글." for rows in some.values() for row in rows]
        found = rule(tasks, copies)
        hit = {task: sum((task, row["id"]) in found for row in rows) for task, rows in some.items()}
        others = len(found) - sum(hit.values())
        row = {task: 1 - hit[task] / len(rows) for task, rows in some.items()}
        yield {"edit": name, **row, "other half": others / sum(len(r) // 2 for r in some.values())}


def alarms(tasks: Tasks, texts: Sequence[str], rule: Callable[..., Found]) -> Iterator[Row]:
    """Items that were found where there are none."""
    items = sum(map(len, tasks.values()))
    yield {"where": "text without items", "found": len(rule(tasks, texts)), "items": items}
    name, rows = next(iter(tasks.items()))
    instructed = {name: [{"id": r["id"], "text": f"{INSTRUCTION} {whole(r)}"} for r in rows]}
    alone = [f"{INSTRUCTION} {text[:100]}" for text in texts[: len(rows)]]
    found = rule(instructed, alone)
    yield {"where": "the instruction alone", "found": len(found), "items": len(rows)}
    asks = [whole(row)[-25:] for row in rows]
    asks = [*asks[1:], asks[0], *asks[2:], *asks[:2]]  # two questions each, of other items
    passages = [row.get("text") or asked_and_answer(row)[0] for row in rows]
    shared = {
        name: numbered({"text": f"{p} {ask}"} for p, ask in zip(passages * 2, asks, strict=True))
    }
    found = rule(shared, passages)
    yield {"where": "a shared passage alone", "found": len(found), "items": len(asks)}


def speed(tasks: Tasks, texts: Sequence[str], rule: Callable[..., Found]) -> float:
    """Megabytes of training text a second of the processor, the index of the items included."""
    start = time.process_time()
    rule(tasks, texts)
    return sum(len(one.encode()) for one in texts) / 1e6 / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kobest", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--text", type=Path, nargs="*", default=[])
    parser.add_argument("--count", type=int, default=400, help="items of a task")
    parser.add_argument("--megabytes", type=float, default=4.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    tasks: Tasks
    if asked.kobest:
        tasks, stream = kobest(asked.kobest, asked.split, asked.count), documents(asked.text)
    else:
        tasks, stream = miniature(asked.count)
    texts, size = [], 0
    for text in stream:
        if size >= asked.megabytes * 1e6:
            break
        texts.append(text)
        size += len(text.encode())
    few = {task: rows[:2] for task, rows in tasks.items()}
    result: dict[str, Any] = {
        "items": {t: len(r) for t, r in tasks.items()},
        "judged": judged(tasks),
    }
    for name, rule in RULES.items():
        rule(few, texts[:2])  # imports are not measured
        result[name] = {
            "missed": list(rates(tasks, rule)),
            "false alarms": list(alarms(tasks, texts, rule)),
            "MB/s": speed(tasks, texts, rule),
        }
    print(json.dumps(result, indent=1, ensure_ascii=False) if asked.json else shown(result, size))


def shown(result: Mapping[str, Any], size: int) -> str:
    """The figures as tables in Markdown."""
    lines = [f"items {result['items']}, judged {result['judged']}, {size / 1e6:.1f} MB of text"]
    for name in RULES:
        rows = result[name]["missed"]
        heads = list(rows[0])
        lines += [
            "",
            f"| {name} misses | " + " | ".join(heads[1:]) + " |",
            "|---" * len(heads) + "|",
        ]
        for row in rows:
            cells = [f"{row[head]:.1%}" if head in row else "–" for head in heads[1:]]
            lines.append(f"| {row['edit']} | " + " | ".join(cells) + " |")
        lines += [
            f"{one['where']}: {one['found']} of {one['items']}"
            for one in result[name]["false alarms"]
        ]
        lines.append(f"{result[name]['MB/s']:.1f} MB/s")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
