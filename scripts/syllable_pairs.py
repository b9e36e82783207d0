"""Write the tables of neighbouring syllables and words by which the evaluation knows gibberish.

    python scripts/syllable_pairs.py DATA

DATA is a folder of openly licensed Korean text; the files are named below, all of them under
licences that ask for attribution at most. What is kept is which two syllables stand next to each
other within a word at least five times, not how often, and no word; and how often words that end in
one syllable follow those that end in another.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kollama2.evaluation.faults import syllable_pairs
from kollama2.evaluation.order import END, KINDS, REST, START, STEPS, kind_of

LEAST = 5
SMOOTHING = 20  # words that are added to what follows each kind, as all text has them
LEAST_WORDS = 4
FILES = (
    "text_ko/lovit__petitions_archive/petitions_*",
    "text_ko/rust-kr__doc.rust-kr.org/**/*.md",
    "eval_ko/e9t__nsmc/nsmc_raw_train.tsv",
    "parallel/python__python-docs-ko/*.jsonl",
    "parallel/jh868__pytorch_study/kor.open.txt",
    "instruct_ko/songys__Chatbot_data/ChatbotData.csv",
)
OUT = Path(__file__).parent.parent / "src/kollama2/evaluation"
HEAD = """\
# {what}
# Made by scripts/syllable_pairs.py from petitions to the Blue House (KOGL type 1), film reviews
# (NSMC, CC0), Korean documentation of Python (PSF) and Rust (MIT), Tatoeba (CC BY 2.0 FR) and
# songys' chat pairs (MIT).
"""


def main() -> None:
    """Count, and write what is frequent enough."""
    folder = Path(sys.argv[1])
    counts: Counter[str] = Counter()
    for pattern in FILES:
        for path in sorted(folder.glob(pattern)):
            counts.update(syllable_pairs(path.read_text(encoding="utf-8")))
    after: dict[str, list[str]] = {}
    for pair, count in sorted(counts.items()):
        if count >= LEAST:
            after.setdefault(pair[0], []).append(pair[1])
    rows = [f"{first}:{''.join(rest)}\n" for first, rest in after.items()]
    what = "Pairs of syllables that are neighbours in words: the first, then all that follow it."
    (OUT / "syllables.txt").write_text(HEAD.format(what=what) + "".join(rows), encoding="utf-8")
    print(f"{sum(map(len, after.values())):,} pairs of {sum(counts.values()):,} syllables read")
    write_endings(folder)


def write_endings(folder: Path) -> None:
    """Count which endings follow which, and write it as a letter for each half bit."""
    texts = [kinds for line in lines(folder) if len(kinds := kinds_of(line)) >= LEAST_WORDS]
    common = [kind for kind, _ in Counter(k for kinds in texts for k in kinds).most_common(KINDS)]
    known, pairs = set(common), Counter[tuple[str, str]]()
    for kinds in texts:
        each = [kind if kind in known else REST for kind in kinds]
        pairs.update(zip((START, *each), (*each, END), strict=True))
    first, second = Counter[str](), Counter[str]()
    for (one, other), count in pairs.items():
        first[one] += count
        second[other] += count
    whole = pairs.total()

    def letter(one: str, other: str) -> str:
        share = second[other] / whole
        seen = (pairs[one, other] + SMOOTHING * share) / (first[one] + SMOOTHING)
        return chr(ord("a") + round((min(4, max(-4, math.log2(seen / share))) + 4) * STEPS))

    what = "Kinds of words by their endings; then, a line for each, how often each kind follows it."
    rows = [" ".join((*common, REST))]
    rows += ["".join(letter(one, other) for other in (*common, REST, END))
             for one in (START, *common, REST)]  # fmt: skip
    (OUT / "endings.txt").write_text(HEAD.format(what=what) + "\n".join(rows) + "\n", "utf-8")
    print(f"{len(common)} kinds of {whole:,} words read")


def kinds_of(text: str) -> list[str]:
    """The kinds of a line's words."""
    return [kind for kind in map(kind_of, text.split()) if kind]


def lines(folder: Path) -> Iterator[str]:
    """The lines of all texts; of JSON its texts alone."""
    for pattern in FILES:
        for path in sorted(folder.glob(pattern)):
            objects = path.suffix == ".jsonl" or path.name.startswith("petitions")
            for line in path.read_text(encoding="utf-8").split("\n"):
                whole = json.loads(line) if objects and line else {"text": line}
                for text in whole.values():
                    if isinstance(text, str):
                        yield from text.split("\n")


if __name__ == "__main__":
    main()
