"""Faults in files of training data: what is said about each, and what is lost in silence.

    python bench/faults_rows.py [GROUP …]

`cases` yields every fault as (group, name, make); `make(folder)` writes the file, and beside it in
`right/` the one it was made of, and returns a command line. `judge` says what became of a case:

- `kept`: every row came through as it was;
- `told`: rows were rejected, or changed with a count, or a column was named as unused;
- `refused`: the file was refused with a sentence;
- `silent`: a row was lost or changed, and nothing says so;
- `traceback`: anything else than an answer or a sentence.
"""

import contextlib
import copy
import csv
import gzip
import io
import itertools
import json
import math
import re
import sys
import tempfile
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import feather, parquet

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.typed import Ended, command

from kollama2.data.forms import Example
from kollama2.data.read import read

Rows = list[Any]
Keys = tuple[Any, ...]
Fault = Callable[[Rows, Keys], Any]
COUNT, AT = 9, 4  # rows of a file, and the one that has the fault
NAMES = {"openai": ("role", "content", "user", "assistant"),
         "sharegpt": ("from", "value", "human", "gpt")}  # fmt: skip
TABLES = ("csv", "tsv")
PACKED = ("data.json", "jsonl.gz", "jsonl.zst", "arrow", "txt")  # only faults in their bytes
UNTYPED = ("NaN", "Infinity", "true", "list", "object")  # in a table these are texts


def chat(number: int, form: str) -> list[dict[str, str]]:
    who, what, user, model = NAMES[form]
    texts = (f"{number}번 질문.", f"{number}번 답.", f"{number}번을 더?", f"{number}번 끝.")
    return [{who: one, what: text} for one, text in zip((user, model) * 2, texts, strict=True)]


# Of each form a row by its number, and the path of keys that leads to its answer.
FORMS: dict[str, tuple[Callable[[int], dict[str, Any]], Keys]] = {
    "alpaca": (lambda n: {"instruction": f"{n}번?", "input": "", "output": f'"{n}"번, 답.'},
               ("output",)),
    "openai": (lambda n: {"messages": chat(n, "openai")}, ("messages", -1, "content")),
    "sharegpt": (lambda n: {"conversations": chat(n, "sharegpt")}, ("conversations", -1, "value")),
    "preference": (lambda n: {"prompt": f"{n}번?", "chosen": f"{n}번 답.", "rejected": f"나쁜 {n}"},
                   ("chosen",)),
    "kto": (lambda n: {"prompt": f"{n}번?", "completion": f"{n}번 답.", "label": True},
            ("completion",)),
    "pairs": (lambda n: {"en": f"This is number {n}.", "ko": f"{n}번입니다."}, ("ko",)),
    "text": (lambda n: {"text": f"{n}번 글입니다."}, ("text",)),
}  # fmt: skip


def put(value: Any) -> Fault:
    """Another value in the place of an answer."""

    def change(rows: Rows, path: Keys) -> None:
        place = rows[AT]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value(place[path[-1]]) if callable(value) else value

    return change


def also(**more: Any) -> Fault:
    """More columns in a row."""
    return lambda rows, path: rows[AT].update(more)


def rename(change: Callable[[str], str], rows_from: int = 0) -> Fault:
    """Another name of the column of the answer, in the rows from one on."""
    return lambda rows, path: [row.update({change(path[0]): row.pop(path[0])})
                               for row in rows[rows_from:]]  # fmt: skip


def whole(value: Any) -> Fault:
    return lambda rows, path: rows.__setitem__(AT, value)


def kept(value: Any, meant: Any = None) -> tuple[Fault, Fault]:
    """A value that is no loss, and what it means."""
    return put(value), put(meant or value)


# A fault, or one and what a reader should make of the row.
IN_ROWS: dict[str, Fault | tuple[Fault, Fault]] = {
    "nothing": also(), "null": put(None), "empty": put(""), "blank": put(" \n\t "),
    "NaN": put(math.nan), "Infinity": put(math.inf), "number": kept(7, "7"), "true": put(True),
    "list": put(["가"]), "object": put({"가": 1}), "huge": put("가" * (6 << 20)),
    "NUL": put("가\0나"), "surrogate": put("가\ud800"), "digits": put(10**4299 * 10),
    "NFD": put(lambda text: unicodedata.normalize("NFD", text)), "tab": kept("가\t나"),
    "CRLF inside": kept("가\r\n나", "가\n나"), "line break": kept("가\n나"), "quote": kept('"가'),
    "escape": kept("\x1b[31m가\x07"), "bidi": kept("\u202e가"), "separator": kept("가\u2028나"),
    "replacement": kept("가\ufffd"), "JSON text": kept('{"가": 1}'), "formula": kept("=1+1"),
    "no column": lambda rows, path: rows[AT].pop(path[0]),
    "other column": rename("{}2".format, AT), "capitals": rename(str.title),
    "spaces": rename(" {} ".format), "no cells": whole({}), "list for a row": whole(["가"]),
    "null for a row": whole(None), "twice": lambda rows, path: rows.insert(AT, rows[AT]),
    "label 0": also(label=0), "label false": also(label=False), "kto_tag": also(kto_tag=False),
    "image": also(images=["a"]), "tools": also(tools=[{"x": 1}]), "system": also(system="짧게."),
    "history": also(history=[["앞 질문", "앞 답"]]), "bad history": also(history=[["앞"]]),
    "note": also(note="메모"), "rating": also(rating=math.nan), "weight": also(weight=0),
}  # fmt: skip
# What these say must be read, or its column named.
SAYS = {"system": "짧게.", "history": "앞 질문", "tools": "?", "image": "?"}
IN_TURNS: dict[str, Callable[[list[Any]], Any]] = {
    "unknown role": lambda turns: turns[1].update({next(iter(turns[1])): "\x1bnarrator"}),
    "no role": lambda turns: turns[1].pop(next(iter(turns[1]))),
    "null turn": lambda turns: turns.__setitem__(1, None),
    "text for a turn": lambda turns: turns.__setitem__(1, "가"),
    "two questions": lambda turns: turns.insert(0, dict(turns[0])),
    "answer first": lambda turns: turns.pop(0), "question last": list.pop, "no turns": list.clear,
    "late system": lambda turns: turns.insert(2, {**turns[0], next(iter(turns[0])): "system"}),
    "weight 0": lambda turns: turns[1].update(weight=0),
    "weight 2": lambda turns: turns[1].update(weight=2),
    "picture": lambda turns: turns[0].update(content=[{"image": 1}], value=[{"image": 1}]),
    "open call": lambda turns: turns[1].update(tool_calls=[{"function": {"name": "f"}}]),
}  # fmt: skip


def flip(share: float) -> Callable[[bytes], bytes]:
    """One byte with its highest bit turned over, which is not the end of a line."""

    def change(data: bytes) -> bytes:
        at = int(len(data) * share)
        at -= data[at] == 10
        return data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :]

    return change


def sub(old: str, new: str, count: int = 1) -> Callable[[bytes], bytes]:
    return lambda data: re.sub(old.encode(), new.encode(), data, count=count)


IN_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "BOM": lambda data: b"\xef\xbb\xbf" + data, "CRLF": sub("\n", "\r\n", 0),
    "CR": sub("\n", "\r", 0), "blank lines": sub("\n", "\n\n", 0), "comment": sub("^", "# x\n"),
    "joined": lambda data: data + data, "joined, no end": lambda data: data.rstrip() + data,
    "joined, BOM": lambda data: data + b"\xef\xbb\xbf" + data, "no end": bytes.rstrip,
    "nothing left": lambda data: b"", "blank": lambda data: b" \n\n", "flip 1": flip(0.3),
    "flip 2": flip(0.5), "flip 3": flip(0.9), "cut 1": lambda data: data[: len(data) // 2],
    "cut 2": lambda data: data[:-9], "page": lambda data: b"<!DOCTYPE html>",
    "NULs": lambda data: data[: len(data) // 2] + bytes(20) + data[len(data) // 2 :],
    "UTF-16": lambda data: data.decode().encode("utf-16"), "garbage": lambda data: data + b"}]\xff",
    "CP949": lambda data: data.decode().encode("cp949", "replace"),
}  # fmt: skip
_FIFTH = r': ?"[^"]*5번[^"]*"'
IN_JSON = {
    "name twice": sub(r'^(.{0,60}?)("\w+": ?)', r'\1\2"x", \2'), "comma": sub("}\n", ",}\n"),
    "deep": sub(_FIFTH, ": " + "[" * 300 + "]" * 300),
    "very deep": sub(_FIFTH, ": " + "[" * 50_000 + "]" * 50_000),
}  # fmt: skip
IN_TABLES = {
    "header twice": lambda data: data + data.split(b"\n")[0] + b"\n",
    "no header": lambda data: data.split(b"\n", 1)[1],
    "column twice": sub(r"^(\w+)([,\t])(\w+)", r"\1\2\1"),
    "more cells": lambda data: sub("\n", "\tx\n" if b"\t" in data else ",x\n", 4)(data),
    "fewer cells": sub(r"[,\t][^,\t\n]*\n([^\n]*)$", r"\n\1"),
    # In a table of tabs these are texts.
    "open quote": lambda data: data if b"\t" in data else sub("5번", '"5번')(data),
    "semicolons": lambda data: data if b"\t" in data else data.replace(b",", b";"),
}
# In a column of texts, and in text, nobody can know that these are faults.
TEXTS = {"txt": {"CR", "comment", "joined, no end"}, "csv": {"joined, no end"},
         "tsv": {"joined, no end", "more cells", "semicolons"}}  # fmt: skip


def table(rows: Rows, mark: str) -> bytes:
    stream, names = io.StringIO(newline=""), list(dict.fromkeys(key for row in rows for key in row))
    sheet = csv.writer(stream, delimiter=mark, lineterminator="\n")
    sheet.writerows([names, *([row.get(name, "") for name in names] for row in rows)])
    return stream.getvalue().encode(errors="surrogatepass")


def arrow(rows: Rows, write: Callable[[Any, Any], None]) -> bytes:
    stream = io.BytesIO()
    names = list(dict.fromkeys(key for row in rows for key in row))
    write(pyarrow.Table.from_pylist([{n: row.get(n) for n in names} for row in rows]), stream)
    return stream.getvalue()


def text(value: Any, **more: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, **more).encode(errors="surrogatepass")


def lines(rows: Rows) -> bytes:
    return b"".join(text(row) + b"\n" for row in rows)


WRITERS: dict[str, Callable[[Rows], bytes]] = {
    "jsonl": lines, "json": lambda rows: text(rows, indent=1),
    "data.json": lambda rows: text({"data": rows}), "csv": lambda rows: table(rows, ","),
    "tsv": lambda rows: table(rows, "\t"),
    "txt": lambda rows: b"".join(row["text"].encode() + b"\n" for row in rows),
    "parquet": lambda rows: arrow(rows, parquet.write_table),
    "arrow": lambda rows: arrow(rows, feather.write_feather),
    "jsonl.gz": lambda rows: gzip.compress(lines(rows)),
    "jsonl.zst": lambda rows: pyarrow.compress(lines(rows), "zstd", asbytes=True),
}  # fmt: skip


# A format may be unable to hold a fault.
UNWRITABLE = (TypeError, KeyError, AttributeError, ValueError, pyarrow.ArrowException)


def cases() -> Iterator[tuple[str, str, Callable[[Path], list[str]]]]:
    """Every fault: its format and form, its name, and what writes it and returns a command line."""
    for (form, (row, path)), (kind, write) in itertools.product(FORMS.items(), WRITERS.items()):
        if (kind in TABLES and form in NAMES) or (kind == "txt" and form != "text"):
            continue
        right = [row(number) for number in range(1, COUNT + 1)]
        faults = IN_ROWS if kind not in PACKED else {"nothing": also()}
        for name, fault in faults.items():
            wrong, wanted = copy.deepcopy(right), copy.deepcopy(right)
            with contextlib.suppress(*UNWRITABLE):
                does, means = fault if isinstance(fault, tuple) else (fault, also())
                does(wrong, path)
                means(wanted, path)
                if kind not in TABLES or name not in UNTYPED:
                    yield f"{kind} {form}", name, partial(made, kind, write(wrong), lines(wanted))
        for name, change in IN_TURNS.items() if form in NAMES and kind not in PACKED else ():
            wrong = copy.deepcopy(right)
            change(wrong[AT][path[0]])
            with contextlib.suppress(*UNWRITABLE):
                yield f"{kind} {form}", name, partial(made, kind, write(wrong), lines(right))
        more = IN_JSON if "json" in kind else IN_TABLES if kind in TABLES else {}
        for name, change in (IN_BYTES | more).items():
            if form == "text" and name in TEXTS.get(kind, ()):
                continue
            with contextlib.suppress(UnicodeError):  # bytes that are packed are no text
                yield (
                    f"{kind} {form}",
                    name,
                    partial(made, kind, change(write(right)), lines(right)),
                )


def made(kind: str, wrong: bytes, right: bytes, folder: Path) -> list[str]:
    """Write the two files; the command line that reads the first."""
    (folder / "right.jsonl").write_bytes(right)
    (folder / f"wrong.{kind}").write_bytes(wrong)
    return ["data", "check", str(folder / f"wrong.{kind}"), "--json"]


def judge(name: str, arguments: list[str], ended: Ended) -> str:
    """What became of a case, by its command line and how that ended."""
    if ended.code:
        plain = ended.refusal == "said" and ended.said.splitlines() == ended.sentences[:1]
        return "refused" if plain else "traceback"
    told = json.loads(ended.out)
    wrong = Path(arguments[2])
    found, right = said(wrong), said(wrong.with_name("right.jsonl"))
    named = told["rejected"] + told["duplicates"]
    named += sum(told["changed"].values()) + sum(told["unused"].values())
    lost = max((right - found).total(), sum(n for one, n in found.items() if one not in right))
    if name.startswith("cut"):  # nobody can know of the rows behind it, nor of the end of a text
        lost = int("json" in wrong.name and lost > 0)
    if name in SAYS:
        lost = int(not any(SAYS[name] in one for one in found))
    return "silent" if lost > named else "told" if named or lost else "kept"


def said(path: Path) -> Counter[str]:
    """What the examples of a file say."""
    kept = [one for one in read(path) if isinstance(one, Example)]
    # A pair is taught in the direction that its line says.
    return Counter("\n".join(sorted(one.text.split("\n")) if one.text else one.contents())
                   for one in kept)  # fmt: skip


def main() -> None:
    """Run all cases, or those of the groups that are named, and print what became of them."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group, name, make in cases():
        if sys.argv[1:] and not any(one in group for one in sys.argv[1:]):
            continue
        with tempfile.TemporaryDirectory() as folder:
            arguments = make(Path(folder))
            ended = command(*arguments)
            verdict = judge(name, arguments, ended)
        counts[group.split()[0]][verdict] += 1
        if verdict in {"silent", "traceback"}:
            print(
                f"{verdict}: {group}, {name}: {(ended.trace or ended.said).strip()[-150:]}",
                flush=True,
            )
    for kind, found in counts.items():
        print(
            f"{kind:10} {found.total():5} tried",
            *(f"{n:4} {what}" for what, n in sorted(found.items())),
        )
    print(f"{sum(map(Counter.total, counts.values()))} cases")


if __name__ == "__main__":
    main()
