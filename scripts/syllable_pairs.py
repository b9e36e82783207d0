"""Write the table of neighbouring syllables by which the evaluation knows gibberish.

    python scripts/syllable_pairs.py DATA

DATA is a folder of openly licensed Korean text; the files are named below, all of them under
licences that ask for attribution at most. What is kept is which two syllables stand next to each
other within a word at least five times, not how often, and no word.
"""

import sys
from collections import Counter
from pathlib import Path

from kollama2.evaluation.faults import syllable_pairs

LEAST = 5
FILES = (
    "text_ko/lovit__petitions_archive/petitions_*",
    "text_ko/rust-kr__doc.rust-kr.org/**/*.md",
    "eval_ko/e9t__nsmc/nsmc_raw_train.tsv",
    "parallel/python__python-docs-ko/*.jsonl",
    "parallel/jh868__pytorch_study/kor.open.txt",
    "instruct_ko/songys__Chatbot_data/ChatbotData.csv",
)
HEAD = """\
# Pairs of syllables that are neighbours in Korean words: the first, then all that follow it.
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
    out = Path(__file__).parent.parent / "src/kollama2/evaluation/syllables.txt"
    out.write_text(HEAD + "".join(rows), encoding="utf-8")
    print(f"{out.name}: {sum(map(len, after.values())):,} pairs of {sum(counts.values()):,} read")


if __name__ == "__main__":
    main()
