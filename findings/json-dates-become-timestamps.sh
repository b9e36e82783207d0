#!/usr/bin/env bash
# datasets: a column of strings in a JSON file becomes timestamps if all of them look like dates.
#
# Expected: what JSON holds as a string arrives as a string: an answer "2024-01-02" is that text.
# Seen: `load_dataset("json")` makes datetimes of such columns, of date answers in a test set too:
# as text they read "2024-01-02 00:00:00", and `to_json` writes numbers. One row of another kind
# keeps all as strings, as `Dataset.from_list` does with the same rows. `features` that name a
# string do not help: they get the longer text.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 \
    >/dev/null 2>&1
"$work/venv/bin/python" - "$work" <<'PYTHON' 2>/dev/null
import json
import sys
from pathlib import Path

import datasets
import pyarrow
from datasets import Dataset, Features, Value, load_dataset

folder = Path(sys.argv[1])
dates = [{"answer": "2024-01-02"}, {"answer": "1999-12-31"}]


def first(name, rows, **settings):
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    cache = str(folder / "cache")
    read = load_dataset("json", data_files=str(file), split="train", cache_dir=cache, **settings)
    read.to_json(folder / "again.jsonl")
    again = json.loads((folder / "again.jsonl").read_text().splitlines()[0])
    return str(read[0]["answer"]), again["answer"]


found = {
    "dates alone": first("dates", dates),
    "and one word": first("word", [*dates, {"answer": "unknown"}]),
    "with features": first("named", dates, features=Features({"answer": Value("string")})),
    "from_list": (Dataset.from_list(dates)[0]["answer"],),
}
print(f"datasets {datasets.__version__}, pyarrow {pyarrow.__version__}; as text and written again")
for case, seen in found.items():
    print(f"{case}: {seen}")
text = ("2024-01-02", "2024-01-02")
late = "2024-01-02 00:00:00"
expected = {"dates alone": (late, 1704153600000), "and one word": text}
sys.exit(found != {**expected, "with features": (late, late), "from_list": text[:1]})
PYTHON
echo "unchanged: strings that look like dates become timestamps"
