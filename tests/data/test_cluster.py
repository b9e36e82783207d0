"""The same cleaning through datatrove's local executor, in two parts."""

import json
from pathlib import Path

import pytest

pytest.importorskip("datatrove")

from datatrove.executor import LocalPipelineExecutor

from kollama2.data.clean import clean
from kollama2.data.cluster import stages
from kollama2.data.tidy import Rules
from tests.data.test_clean import ENGLISH, OTHER, STORY, rows


@pytest.mark.slow
def test_two_parts_give_the_documents_of_one(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    parts = [[STORY, ENGLISH, "짧다."], [OTHER, STORY + " 끝."]]
    for name, texts in zip(("a.jsonl", "b.jsonl"), parts, strict=True):
        lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
        (source / name).write_text("\n".join(["{", *lines]), encoding="utf-8")
    out = tmp_path / "out"
    for name, tasks, steps in stages(source, out, Rules(), tasks=2):
        logs = str(out / "logs" / name)
        LocalPipelineExecutor(steps, tasks=tasks, workers=1, logging_dir=logs).run()
    kept = [row for file in sorted((out / "corpus").iterdir()) for row in rows(file)]
    rejected = [row for file in sorted((out / "rejected").rglob("*.jsonl")) for row in rows(file)]
    assert len(kept) + len(rejected) == 7
    alone = clean([source], tmp_path / "alone")
    assert alone.kept == len(kept) == 2
    # Which of two near-duplicates stays is datatrove's choice; the others are the same.
    assert {row["text"].removesuffix(" 끝.") for row in kept} == {STORY, OTHER}
    assert sorted(row["reason"] for row in rejected) == [
        "nearly repeats another document",
        *["not JSON: Expecting property name enclosed in double quotes at column 2"] * 2,
        "under 30% Hangul",
        "under 50 characters",
    ]
