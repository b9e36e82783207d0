"""Train the embedded safety classifier and write its weights, numbers and card.

    python scripts/build_safety.py PATH/TO/DATA [--out src/kollama2/safety/model]

DATA is the folder of real data (see CONTRIBUTING). Texts of class A (permissive) alone do not
teach Korean hate speech (area under the ROC curve 0.68), so the comments of class B (CC BY-SA 4.0)
are used too. A fifth of every set, chosen by a hash of the text, is never trained on; thresholds
and figures come from it. The Korean UnSmile comments (class C) are only measured on.
"""

import argparse
import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix, diags, vstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve

from kollama2.safety.features import BUCKETS, features

C = 1.0
OVER_REFUSAL = 0.05  # of safe held-out texts that the threshold may call unsafe


class Text(NamedTuple):
    """One text and whether it is unsafe."""

    text: str
    unsafe: bool


def rows(path: Path, delimiter: str, quoting: int = csv.QUOTE_MINIMAL) -> list[list[str]]:
    """Rows of a table without its header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter, quoting=quoting))[1:]


def kosbi(data: Path, suffix: str) -> Iterator[Text]:
    """Social bias: contexts and sentences (MIT)."""
    folder = data / "safety_ko/naver-ai__korean-safety-benchmarks"
    for row in json.loads((folder / "kosbi_valid.json").read_text(encoding="utf-8")):
        for part in ("context", "sentence"):
            if row[f"{part}_label"] in ("safe", "unsafe") and row[part + suffix]:
                yield Text(row[part + suffix], row[f"{part}_label"] == "unsafe")


def comments(data: Path) -> Iterator[Text]:
    """News comments, hateful or harmless; merely offensive ones are left out (CC BY-SA 4.0)."""
    path = data / "safety_ko/kocohub__korean-hate-speech/labeled_train.tsv"
    for row in rows(path, "\t", csv.QUOTE_NONE):
        if len(row) == 4 and row[3] != "offensive":
            yield Text(row[0], row[3] == "hate")


def kmhas(data: Path) -> Iterator[Text]:
    """News comments; 8 is the label of harmless ones (CC BY-SA 4.0)."""
    for row in rows(data / "safety_ko/adlnlp__K-MHaS/kmhas_valid.txt", "\t"):
        if len(row) == 2:
            yield Text(row[0], row[1] != "8")


def unsmile(data: Path) -> Iterator[Text]:
    """Comments of online communities (CC BY-NC-ND 4.0): only measured on."""
    folder = data / "safety_ko/smilegate-ai__korean_unsmile_dataset"
    for row in rows(folder / "unsmile_train_v1.0.tsv", "\t"):
        if len(row) == 12:
            yield Text(row[0], row[10] != "1")


def requests(data: Path) -> Iterator[Text]:
    """Ordinary things that people say to an assistant."""
    for row in rows(data / "instruct_ko/songys__Chatbot_data/ChatbotData.csv", ","):
        yield Text(row[0], False)
    english = data / "instruct_en"
    for line in (english / "tatsu-lab__stanford_alpaca/seed_tasks.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        yield Text(row["instruction"], False)
        yield from (Text(one["output"][:300], False) for one in row["instances"])
    for line in (english / "lm-sys__FastChat/mt_bench_question.jsonl").open(encoding="utf-8"):
        yield from (Text(turn, False) for turn in json.loads(line)["turns"])


SETS = {
    "KoSBi, Korean": lambda data: kosbi(data, ""),
    "KoSBi, English": lambda data: kosbi(data, "_en"),
    "Korean Hate Speech": comments,
    "K-MHaS": kmhas,
    "ordinary requests": requests,
    "UnSmile (never trained on)": unsmile,
}
UNTRAINED = "UnSmile (never trained on)"


def held_out(text: str) -> bool:
    """Whether a text is of the fifth that is never trained on."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()[0] < 51


def matrix(texts: list[Text]) -> csr_matrix:
    """Rows of unit length over the buckets."""
    found = [features(one.text) for one in texts]
    ends = np.cumsum([0, *map(len, found)])
    values = np.concatenate([np.full(len(ids), len(ids) ** -0.5) for ids in found])
    return csr_matrix((values, np.concatenate(found), ends), shape=(len(texts), BUCKETS))


def log_ratio(x: csr_matrix, unsafe: np.ndarray) -> np.ndarray:
    """How much more often each n-gram is in unsafe texts (NBSVM: Wang and Manning, 2012)."""
    counts = [1 + np.asarray((x[rows] > 0).sum(0)).ravel() for rows in (unsafe, ~unsafe)]
    shares = [count / count.sum() for count in counts]
    return np.log(shares[0] / shares[1])


def truth(texts: list[Text]) -> np.ndarray:
    """Labels."""
    return np.array([one.unsafe for one in texts])


def figures(scores: np.ndarray, unsafe: np.ndarray, threshold: float) -> dict[str, Any]:
    """What the card states of one set."""
    called = scores >= threshold
    right = int((called & unsafe).sum())
    return {
        "texts": len(unsafe),
        "unsafe": int(unsafe.sum()),
        "auc": round(float(roc_auc_score(unsafe, scores)), 3) if unsafe.any() else None,
        "precision": round(right / max(1, int(called.sum())), 3) if unsafe.any() else None,
        "recall": round(right / int(unsafe.sum()), 3) if unsafe.any() else None,
        "over_refusal": round(float(called[~unsafe].mean()), 3),
    }


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/kollama2/safety/model"))
    options = parser.parse_args()
    train: list[Text] = []
    test: dict[str, list[Text]] = {}
    for name, read in SETS.items():
        texts = list(dict.fromkeys(read(options.data)))
        test[name] = [t for t in texts if held_out(t.text)]
        if name != UNTRAINED:
            train += [t for t in texts if not held_out(t.text)]
    x, y = matrix(train), truth(train)
    ratio = log_ratio(x, y)
    model = LogisticRegression(C=C, max_iter=120, class_weight="balanced")
    model.fit(x @ diags(ratio), y)
    weights = (model.coef_[0] * ratio).astype(np.float16)
    bias = model.intercept_.astype(np.float32)
    seen = {name: matrix(texts) for name, texts in test.items()}

    def scored(x: csr_matrix) -> np.ndarray:
        return 1 / (1 + np.exp(-(x @ weights.astype(np.float32) + bias[0])))

    known = [name for name in SETS if name != UNTRAINED]
    all_scores = scored(vstack([seen[name] for name in known]))
    all_truth = np.concatenate([truth(test[name]) for name in known])
    rate, _, limits = roc_curve(all_truth, all_scores)
    threshold = round(float(limits[np.searchsorted(rate, OVER_REFUSAL, "right") - 1]), 3)
    table = {name: figures(scored(seen[name]), truth(test[name]), threshold) for name in SETS}
    hate = ["Korean Hate Speech", "K-MHaS"]
    table["Korean hate speech, both"] = figures(
        scored(vstack([seen[name] for name in hate])),
        np.concatenate([truth(test[name]) for name in hate]),
        threshold,
    )
    options.out.mkdir(parents=True, exist_ok=True)
    save_file({"weights": weights, "bias": bias}, options.out / "model.safetensors")
    about = {
        "threshold": threshold,
        "trained_on": len(train),
        "buckets": BUCKETS,
        "held_out": table,
    }
    text = json.dumps(about, ensure_ascii=False, indent=1)
    (options.out / "config.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
