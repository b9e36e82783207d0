"""Copies of test items in training text: our 20-syllable n-grams against lm-eval's 13 words.

    python bench/contamination.py [--items FILE --text FILE] [--megabytes 5] [--json]

Half of the items are planted in the text, unchanged or with the last syllable of every k-th word
changed, as a rewritten or re-inflected copy has it; the other half must not be found. lm-eval's
rule is that of its `decontamination` package: lower-cased words without punctuation, an item counts
as seen when any 13 words in a row occur. Both sides run in one process, one after the other; the
seconds are of the processor. FILEs hold one text a line; the default is the miniature's Korean.
"""

import argparse
import contextlib
import io
import itertools
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

EDITS = (0, 20, 10, 6)


def lines(path: Path) -> list[str]:
    return [one for one in path.read_text(encoding="utf-8").split("\n") if one.strip()]


def miniature(items: int) -> tuple[list[str], Iterator[str]]:
    """Passages of the suite, and running Korean text of other seeds."""
    from kollama2.miniature import corpora, heldout

    held = [one.text for one in itertools.islice(heldout.passages("ko", 0), items)]
    folder = Path(tempfile.mkdtemp())
    corpora.write("text-ko", folder, seed=1, size=60_000)
    return held, iter(lines(next(folder.glob("*.txt"))))


def edited(text: str, every: int, rng: random.Random) -> str:
    """The last syllable of every k-th word replaced; 0 leaves the text as it is."""
    words = text.split()
    if every:
        for at in range(rng.randrange(every), len(words), every):
            words[at] = words[at][:-1] + rng.choice("은는이가을를도만")
    return " ".join(words)


def ours(items: Sequence[str], documents: Sequence[str]) -> set[int]:
    from kollama2.evaluation.contamination import contamination

    rows = [{"id": str(at), "text": text} for at, text in enumerate(items)]
    found = contamination({"t": rows}, documents)
    return {int(item.id) for item in found.items if item.flagged}


def harness(items: Sequence[str], documents: Sequence[str]) -> set[int]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from lm_eval.decontamination.janitor import Janitor, word_ngrams
    normal = Janitor().normalize_string
    wanted: dict[str, list[int]] = {}
    for at, text in enumerate(items):
        for gram in word_ngrams(normal(text), 13):
            wanted.setdefault(gram, []).append(at)
    found: set[int] = set()
    for document in documents:
        for gram in word_ngrams(normal(document), 13):
            found.update(wanted.get(gram, ()))
    return found


def timed(call: Callable[[], set[int]]) -> tuple[set[int], float]:
    start = time.process_time()
    return call(), time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=Path)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--megabytes", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.items and asked.text:
        items, stream = lines(asked.items)[: asked.count], iter(lines(asked.text))
    else:
        items, stream = miniature(asked.count)
    documents, size = [], 0
    for text in stream:
        if size >= asked.megabytes * 1e6:
            break
        documents.append(text)
        size += len(text.encode())
    planted = set(range(0, len(items), 2))
    rows = []
    ours(items[:2], documents[:2]), harness(items[:2], documents[:2])  # imports are not measured
    for every in EDITS:
        rng = random.Random(every)
        copies = [f"앞 글. {edited(items[at], every, rng)} 뒤 글." for at in sorted(planted)]
        row: dict[str, float | int | str] = {"edit": f"every {every}th word" if every else "none"}
        for name, call in (("ours", ours), ("lm-eval", harness)):
            found, seconds = timed(lambda call=call, copies=copies: call(items, documents + copies))
            row[f"{name} found"] = round(len(found & planted) / len(planted), 3)
            row[f"{name} false"] = round(len(found - planted) / (len(items) - len(planted)), 3)
            row[f"{name} MB/s"] = round(size / 1e6 / seconds, 2)
        row["speed"] = round(float(row["ours MB/s"]) / float(row["lm-eval MB/s"]), 2)
        rows.append(row)
    if asked.json:
        print(json.dumps({"items": len(items), "megabytes": size / 1e6, "rows": rows}, indent=1))
        return
    print(f"{len(items)} items, {size / 1e6:.1f} MB of text")
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(str(value) for value in row.values()))


if __name__ == "__main__":
    main()
