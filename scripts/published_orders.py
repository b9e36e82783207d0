"""Why published comparisons of Korean models contradict each other, recomputed from public files.

    python scripts/published_orders.py --kobest FOLDER --komt FOLDER --tokenizer tokenizer.model

`--kobest` holds KoBEST's TSV files (github.com/SKT-LSL/KoBEST_datarepo, v1.0; `BoolQ.test.tsv` or
`BoolQ/test.tsv`), `--komt` the judged answers of github.com/davidkim205/komt (eval_results/
score_result_*.jsonl), `--tokenizer` is Llama 2's. Each option prints its part; all are optional.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from kollama2.evaluation.statistics import family
from kollama2.records.items import Items

LABELS = {"BoolQ": ("Text", "Question", "Answer"), "WiC": ("SENTENCE1", "SENTENCE2", "ANSWER")}


def rows_of(kobest: Path, task: str, split: str) -> list[dict[str, str]]:
    """The rows of a TSV file; none where it is not there."""
    for path in (kobest / f"{task}.{split}.tsv", kobest / task / f"{split}.tsv"):
        if path.is_file():
            with path.open(encoding="utf-8-sig") as lines:
                return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return []


def constant_answers(kobest: Path) -> None:
    """Macro-F1 of a model that always gives the same answer: F1 of that class over 2 classes."""
    print("Macro-F1 of a constant answer (published: BoolQ 0.3343, WiC 0.3280 for several models)")
    for task, (*_, label) in LABELS.items():
        for split in ("test", "dev", "train"):
            rows = rows_of(kobest, task, split)
            if rows:
                share = sum(row[label].strip().lower() == "true" for row in rows) / len(rows)
                yes, no = share / (1 + share), (1 - share) / (2 - share)
                print(f"  {task} {split}: always yes {yes:.4f}, always no {no:.4f} (n={len(rows)})")


def fitting_examples(kobest: Path, pieces: Path, window: int = 4096) -> None:
    """How many of "50 examples" fit into the window, with Llama 2's tokenizer."""
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    rows = rows_of(kobest, "BoolQ", "train")
    texts = [f"{row['Text']} 질문: {row['Question']} 답변:  아니오\n\n" for row in rows]
    sizes = np.array([len(ids) for ids in model.encode(texts)])
    if not len(sizes):
        return
    draws = np.random.default_rng(0).choice(sizes, (2_000, 50)).cumsum(axis=1)
    five = np.random.default_rng(1).choice(sizes, (2_000, 6)).sum(axis=1)
    print(f"BoolQ examples in {window} tokens of Llama 2 (of 50 asked for, the rest is cut off)")
    print(f"  mean {(draws < window).sum(axis=1).mean():.1f}; one example has {sizes.mean():.0f}")
    print(f"  prompts of 5 examples beyond 2,048 tokens: {(five > 2_048).mean():.0%}")


def judged_answers(komt: Path) -> None:
    """Scores of a judge over 37 questions: failures of the harness, and what differs after all."""
    models: dict[str, list[Items]] = {}
    print("komt: 37 questions, ChatGPT's score of 0 to 5")
    for path in sorted(komt.glob("score_result_*.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        name = path.stem.removeprefix("score_result_")
        ids = np.array([str(line["id"]) for line in lines])
        scores = np.array([float(line["score"]) for line in lines])
        silent = sum(line["answer"].strip().lower() == "no answer" for line in lines)
        unread = sum(line["score"] == 0 and any(c.isdigit() for c in str(line["chatgpt"])[:9])
                     for line in lines)  # fmt: skip
        print(
            f"  {name}: mean {scores.mean():.2f}, n={len(lines)}, {silent} are the text "
            f"'no answer' of the harness, {unread} scores were given and not read"
        )
        order = np.argsort(ids)
        models[name] = [Items(ids[order], ids[order], scores[order], np.ones(len(ids)))]
    if len(models) > 1:
        found = family(models, sorted(models)[0], higher=True)
        print("  tiers (models that share a letter cannot be told apart by these questions):")
        for one in found.standings:
            rank = f"{one.rank_low}-{one.rank_high}"
            print(f"    {one.tier:8} {one.score:.2f} [{one.low:.2f}, {one.high:.2f}] rank {rank}"
                  f"  {one.name}")  # fmt: skip


def main() -> None:
    """Print what can be recomputed from the files that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kobest", type=Path)
    parser.add_argument("--komt", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    arguments = parser.parse_args()
    if arguments.kobest:
        constant_answers(arguments.kobest)
        if arguments.tokenizer:
            fitting_examples(arguments.kobest, arguments.tokenizer)
    if arguments.komt:
        judged_answers(arguments.komt)
    # llama-pro-ko-8b's card gives llama-2-ko-7b the value of the next row as BoolQ.
    printed, correct = [0.763, 0.467, 0.4657, 0.830], [0.763, 0.467, 0.680, 0.830]
    print("llama-2-ko-7b, mean of four 5-shot scores: as copied into llama-pro-ko-8b's card")
    print(f"  {100 * np.mean(printed):.1f}, as its own card has them {100 * np.mean(correct):.1f};")
    own = 100 * np.mean([0.788, 0.475, 0.663, 0.875])
    print(f"  llama-pro-ko-8b {own:.1f}: a gain of {own - 100 * np.mean(correct):.1f}, not of "
          f"{own - 100 * np.mean(printed):.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
