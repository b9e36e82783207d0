"""Reads a task's data file into rows and checks that each has what its measure needs."""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from kollama2.errors import BadData
from kollama2.evaluation.chats import ExactMatch, InstructionRules
from kollama2.evaluation.golds import complete
from kollama2.evaluation.kinds import FileFormat, Translation, TranslationPmi
from kollama2.evaluation.suite import Task
from kollama2.evaluation.tables import file_rows, hub_rows, line_pairs

Row = dict[str, Any]

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "bits_per_byte": ("text",),
    "context_gain": ("text",),
    "instruction_gain": ("messages", "answer"),
    "translation_pmi": ("en", "ko"),
    "translation": ("en", "ko"),
    "multiple_choice": ("choices", "gold"),
    "rating": ("first", "second", "gold"),
    "generation": ("messages",),
    "exact_match": ("question", "gold"),
    "instruction_rules": ("question", "rules", "arguments"),
}


def read_rows(task: Task) -> list[Row]:
    """Rows of a task, all strings NFC, with `id` and `cluster` as strings; at most `task.limit`.

    A row without an id gets its line number, one without a cluster is a cluster of its own.

    Raises:
        BadData: the file is missing or empty, a line cannot be read, or a field is missing.
    """
    rows: list[Row] = []
    path = Path(task.data)
    if isinstance(task, Translation | TranslationPmi) and task.files:
        path = Path(task.files["ko"])
        found = line_pairs(task.name, Path(task.files["en"]), path)
    elif path.is_file():
        form = task.format or path.suffix.lstrip(".").replace("txt", "lines")
        if form not in get_args(FileFormat):
            raise BadData(
                f"task {task.name}: {path} is no jsonl, json, txt, tsv, csv or parquet file; "
                "give `format`"
            )
        # Positions as columns mean that the file has no header.
        positions = bool(task.columns) and all(isinstance(i, int) for i in task.columns.values())
        found = file_rows(task.name, path, form, header=not positions)
    elif isinstance(task, ExactMatch | InstructionRules) and path.is_dir():
        found = hub_rows(task.name, path, task.config, task.split)
    else:
        raise BadData(f"task {task.name}: no data file {path}")
    for number, raw in found:
        if task.limit is not None and len(rows) == task.limit:
            break
        row = nfc(_renamed(raw, task, path))
        if "question" in row and "messages" in _NEEDED[task.measure_kind]:
            row.setdefault("messages", [{"role": "user", "content": row["question"]}])
        where = f"task {task.name}: {path.name} line {number}"
        row["id"] = str(row.get("id", number))
        row["cluster"] = str(row.get("cluster", row["id"]))
        _check(task, row, where)
        rows.append(row)
    if not rows:
        raise BadData(f"task {task.name}: {path} holds no rows")
    ids = Counter(row["id"] for row in rows)
    twice = next((one for one, times in ids.items() if times > 1), None)
    if twice is not None:
        raise BadData(f"task {task.name}: {path} holds the id {twice!r} twice")
    return rows


def _renamed(row: Mapping[Any, Any], task: Task, path: Path) -> Row:
    """A row under our names of its columns."""
    renamed = {str(key): value for key, value in row.items() if key not in task.columns.values()}
    for field, column in task.columns.items():
        try:
            renamed[field] = row[column] if column in row else _inside(row, str(column))
        except (KeyError, IndexError, TypeError, ValueError):
            raise BadData(f"task {task.name}: {path} has no column {column!r}") from None
    return renamed


def _inside(row: Mapping[Any, Any], path: str) -> Any:
    """What lies at a path such as `instances.0.output`."""
    value: Any = row
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def nfc(value: Any) -> Any:
    """A value whose texts are NFC, however deep they lie in it."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [nfc(one) for one in value]
    if isinstance(value, dict):
        return {key: nfc(one) for key, one in value.items()}
    return value


def _check(task: Task, row: Row, where: str) -> None:
    for field in _NEEDED[task.measure_kind]:
        if row.get(field) in (None, "", []):
            raise BadData(f"{where} has no {field!r}")
    if isinstance(task, ExactMatch | InstructionRules):
        complete(task, row, where)
    if task.measure_kind == "rating":
        try:
            row["gold"] = float(row["gold"])
        except (TypeError, ValueError):
            raise BadData(f"{where}: the rating {row['gold']!r} is no number") from None
    if task.measure_kind != "multiple_choice":
        return
    if not row.get("messages") and not row.get("question"):
        raise BadData(f"{where} has neither 'messages' nor 'question'")
    choices, gold = row["choices"], row["gold"]
    if not isinstance(gold, int) or not 0 <= gold < len(choices) or len(choices) < 2:
        raise BadData(f"{where}: gold {gold!r} is no position among {len(choices)} choices")
    if not all(isinstance(one, str) and one for one in choices):
        raise BadData(f"{where}: a choice is empty")


def rows_digest(rows: Sequence[Row]) -> str:
    """Hash of all that rows hold, wherever and in whatever form their files lie."""
    text = json.dumps(rows, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def user(content: str) -> list[dict[str, str]]:
    """A chat of one message by the user."""
    return [{"role": "user", "content": content}]
