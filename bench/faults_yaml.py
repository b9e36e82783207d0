"""Broken YAML for every command that reads some: the cases of the group `yaml`."""

from collections.abc import Iterator
from pathlib import Path

STUDY = """\
name: outside
base: {uri: builtin:miniature}
sources:
  ko: {uri: builtin:miniature/alpaca-ko}
seeds: [0]
axes:
  sft:
    lora: {kind: finetune, data: ko, method: lora, lr: 1.0e-3, epochs: 1}
suites: [quick]
"""
SUITE = """\
name: mine
primary: talk/fidelity
tasks:
  - {name: talk, measure_kind: generation, data: "file:rows.jsonl", max_new_tokens: 8}
"""


def _bomb(leaf: str, form: str) -> str:
    lines = [f"b{n}: &b{n} {form % ', '.join([f'*b{n - 1}'] * 9)}\n" for n in range(1, 9)]
    return f"b0: &b0 {leaf}\n{''.join(lines)}"


# What no YAML file may hold, behind a good one; what a key of ours cannot be; what no value can.
BROKEN = [
    "more: [\n", 'more: "x\n', "more:\n\t- x\n", "more: *nowhere\n", "? [a, b]\n: x\n",
    "{a: b}: x\n", "one: &one [a]\n*one : x\n", "twice: 1\ntwice: 2\n", "more: \x07\n", "\0",
    "%YAML 9.9\n", "more: 'a\nb: c: d\n", "- x\n", "more: &a &b x\n", "more: @x\n", "more: {a\n",
    "more: &more [*more]\n", "more: &more {x: *more}\n", "more: &more {<<: *more}\n",
    _bomb("x", "[%s]"), _bomb("lol " * 1000, "[%s]"), _bomb("{x: 1}", "{<<: [%s]}"),
    "more: " + "[" * 400 + "]" * 400, "more: " + "[" * 100_000, "more: " + "{a: " * 400 + "}" * 400,
    "".join(" " * n + f"k{n}:\n" for n in range(300)), "more: [" + "x," * 200_000 + "]",
    "# " + "x" * (2 << 20), 'more: "\\q"\n', 'more: "\\ud8\n', "more: |9x\n",
]  # fmt: skip
STRANGE = [
    "7: x\n", ": x\n", "2026-01-01: x\n", "~: x\n", "9" * 5000 + ": x\n", "moer: x\n",
    "k" * 5000 + ": x\n", "more: !!set [a]\n", "more: !!omap [a]\n", "more: !!pairs {a: b}\n",
    "<<: x\n", "!!python/name:os.system : x\n", '"\\ud800": x\n', "more: {a: [b, {c: d}]}\n",
]  # fmt: skip
VALUES = [
    "9" * 5000, "1" * 5000 + ".0", ".inf", "-.inf", ".nan", "1.0e+999", "1:" + "59:" * 2000 + "59",
    "2026-99-99", "~", "{a: {b: c}}", "[[]]", "!!python/object/apply:os.system [ls]", "!mine x",
    "!!int abc", "!!float abc", "!!bool abc", "!!binary ééé", "!!timestamp abc", '"\\ud800"', "''",
    '"a\\0b"', "99999999999999999999", "-1", "한국어", "/", "../../x", "v" * 5000, "[a, b]",
]  # fmt: skip
BYTES = [
    b"", b"# nothing\n", b"x\n", b"12\n", b"\xff\xfe\x00", b"\x1f\x8b\x08\x00", bytes(range(256)),
    STUDY.encode("utf-16"), STUDY.encode("utf-32"), STUDY.encode() + "# é".encode("latin-1"),
    STUDY.encode() + "# 한국어".encode("euc-kr"), STUDY.encode("utf-16-le"),
]  # fmt: skip
WIDE = "".join(f"  a{n}: {{{', '.join(f'o{m}: none' for m in range(10))}}}\n" for n in range(7))
LARGE = [
    ("suites:", WIDE + "suites:"), ("[0]", str(list(range(3000)))), ("[0]", "[0, 0]"),
    ("[0]", f"[{2**60}]"), ("[0]", "[-1]"), ("alpaca-ko}", "alpaca-ko, size: 1000000000000000}"),
    ("epochs: 1", "korean_bytes: 9e99GB"), ("epochs: 1", "korean_bytes: infGB"),
    ("epochs: 1", "steps: 0"), ("lr: 1.0e-3", "lr: {probe: [1.0e-3]}"),
    ("suites:", "  m:\n    x: {kind: merge, method: average, copies: 1000000000}\nsuites:"),
    ("{uri: builtin:miniature/alpaca-ko}", "{uri: 'file:.', file: /etc/*}"),
    ("{uri: builtin:miniature/alpaca-ko}", "{uri: 'file:.', file: ../*}"),
]  # fmt: skip


def lines(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and command line of each case: every kind of file broken, studies that are too large.

    Args:
        root: a folder for the files and a store.
    """
    kinds = {
        "study": (STUDY, ["plan"]),
        "suite": (SUITE, ["evaluate", "builtin:miniature", "--suite"]),
        "profile": ("jobs: 1\ndefault: {threads: 1}\n", ["plan", "quick", "--profile"]),
        "mirrors": ("hf:owner/name: copy\n", ["plan", "quick", "--mirrors"]),
        "tasks": ("task: a\n", ["evaluate", "builtin:miniature", "--include"]),
    }
    for kind, (good, line) in kinds.items():
        contents = [(text, (good + text).encode()) for text in BROKEN]
        contents += [(str(content[:20]), content) for content in BYTES]
        if kind != "tasks":  # whose keys and values are lm-eval's to judge
            value = good.partition("\n")[0].partition(": ")[2]
            # Any text is the place of a mirror, and any word a hub's name.
            odd = [one for one in STRANGE if kind != "mirrors" or one[0] in '7~29:<!"']
            no = ("한", "/", "..", "v", "''", "-", "99999999999999999999")
            values = [one for one in VALUES if kind != "mirrors" or not one.startswith(no)]
            contents += [(text, (good + text).encode()) for text in odd]
            contents += [(one, good.replace(value, one, 1).encode()) for one in values]
        if kind == "study":
            contents += [(b[:40], STUDY.replace(a, b).encode()) for a, b in LARGE]
        for number, (name, content) in enumerate(contents):
            file = root / f"{kind}-{number}.yaml"
            file.write_bytes(content)
            whole = [*line, str(file), "--store", str(root / "store")]
            yield f"{kind}: {name[:40]!r}", whole
