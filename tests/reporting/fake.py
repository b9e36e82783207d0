"""Writes a store as a finished study leaves it: records that look real, no model anywhere."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import numpy as np

from kollama2.engine import commit
from kollama2.records.done import Counts, Done, Evaluation
from kollama2.records.items import Item
from kollama2.records.lock import Cell, Lock, Suite
from kollama2.records.read import DONE, Json

PROMPTS = (
    "대한민국의 수도는 어디인가요?",
    "다음 문장을 높임말로 바꾸세요: 나는 밥을 먹었다.",
    "사과 세 개와 배 두 개가 있습니다. 과일은 모두 몇 개입니까?",
    "봄에 피는 꽃을 두 가지 말해 주세요.",
    "Translate into Korean: The small dog sleeps under the old tree.",
)
ANSWERS = {
    "base": "The answer is the answer of the question. The question is the",
    "base-copy": "The answer is the answer of the question. The question is the",
    "alpaca-full": "대한민국의 수도는 서울입니다. 서울에는 많은 사람이 살고 있습니다.",
    "alpaca-lora": "수도는 서울입니다.",
    "alpaca-qlora": "수도는 서울이다. 서울이다. 서울이다.",
    "vicuna-lora": "네, 대한민국의 수도는 서울이에요! 더 궁금한 점이 있으면 물어보세요.",
}
FAULTS = {"base": ["foreign", "stock"], "base-copy": ["foreign"], "alpaca-qlora": ["loop"]}
QUIZ = ["강가에 있습니다.", "산 위에 있습니다.", "바닷가에 있습니다.", "사막에 있습니다."]


@dataclass(frozen=True)
class Recipe:
    """A made-up recipe: how far it moves each axis, in units of the measure."""

    name: str
    korean: float
    english: float
    flops: float
    trainable: int
    options: tuple[tuple[str, str], ...]
    base: bool = False


RECIPES = (
    Recipe("base", 0.0, 0.0, 0.0, 0, (), base=True),
    Recipe("alpaca-full", -1.52, 0.11, 6.1e14, 4_200_000, (("data", "alpaca"), ("sft", "full"))),
    Recipe("alpaca-lora", -1.31, 0.02, 4.3e14, 310_000, (("data", "alpaca"), ("sft", "lora"))),
    Recipe("alpaca-qlora", -1.30, 0.03, 4.3e14, 310_000, (("data", "alpaca"), ("sft", "qlora"))),
    Recipe("vicuna-lora", -1.05, 0.01, 4.6e14, 310_000, (("data", "vicuna"), ("sft", "lora"))),
    Recipe("base-copy", 0.0, 0.0, 0.0, 0, (("data", "none"),)),
)

MEASURES = (  # task, measure, level of the base, worth of 1 bit of Korean, spread of items
    ("text-ko", "bpb", 3.10, 1.0, 0.30),
    ("instruct-ko", "gain", 0.05, -0.35, 0.10),
    ("translate-ko", "pmi_en_ko", 0.02, -0.12, 0.08),
    ("quiz-ko", "p_gold", 0.26, -0.22, 0.12),
    ("quiz-ko", "accuracy", 0.27, -0.24, 0.0),
    ("answer-ko", "fidelity", 0.04, -0.55, 0.10),
)


def write(
    store: Path,
    *,
    study: str = "quick",
    recipes: tuple[Recipe, ...] = RECIPES,
    seeds: tuple[int, ...] = (0, 1, 2),
    items: int = 60,
    steps: int = 80,
    missing: frozenset[tuple[str, int]] = frozenset(),
    answers: dict[str, str] | None = None,
    seen: dict[str, int] | None = None,
) -> Path:
    """Writes the store of a study; the cells named in `missing` were never computed.

    `seen` says of how many text-ko items of a recipe its training data hold.
    """
    cells = []
    for recipe in recipes:
        for seed in seeds:
            path = _path(recipe, 0 if recipe.flops == 0 else seed)
            evaluate = f"evaluate-{_key(recipe.name, path[-1])}"
            check = f"contamination-{_key(recipe.name)}" if recipe.flops else None
            cells.append(
                Cell(
                    recipe=recipe.name,
                    options=dict(recipe.options),
                    seed=seed,
                    suite="quick",
                    base=recipe.base,
                    evaluate=evaluate,
                    model=path[-1],
                    path=tuple(path),
                    contamination=check,
                )
            )
            if check is not None:
                _write_contamination(store / check, items, (seen or {}).get(recipe.name, 0))
            if (recipe.name, seed) in missing:
                continue
            _write_training(store, recipe, path, seed, steps)
            real = 0 if recipe.flops == 0 else seed
            _write_evaluation(store / evaluate, recipe, real, items, answers or ANSWERS)
    measures = ("text-en/bpb", *(f"{task}/{name}" for task, name, *_ in MEASURES))
    tasks = ("text-ko", "text-en", "instruct-ko", "translate-ko", "quiz-ko")
    lock = Lock(
        study=study,
        kollama2="0.1.0",
        primary="text-ko/bpb",
        english="text-en/bpb",
        suites={"quick": Suite(tasks=tasks, measures=measures)},
        seeds=seeds,
        cells=tuple(cells),
    )
    _json(store / "studies" / f"{study}.json", lock.plain())
    return store


def finish(
    folder: Path,
    settings: Json,
    metrics: Json,
    *,
    seconds: float = 0.4,
    kollama2: str = "0.1.0",
    lines: Mapping[str, Iterable[Mapping[str, Any]]] = MappingProxyType({}),
) -> None:
    """Writes a finished stage, with files of JSON lines by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in lines.items():
        text = "".join(json.dumps(line) + "\n" for line in each)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    _json(folder / "stage.json", settings)
    kind, _, key = folder.name.rpartition("-")
    record = Done(
        name=folder.name,
        kind=kind,
        key=key,
        metrics=metrics,
        seconds=seconds,
        cpu_seconds=seconds * 1.9,
        attempts=1,
        peak_memory_bytes=1_200_000_000,
        started="2026-11-24T03:00:00+00:00",
        finished="2026-11-24T03:01:01+00:00",
        inputs=[],
        kollama2=kollama2,
        git="38f6b40c51d2",
        python="3.11.7",
        packages={"torch": "2.13.0", "transformers": "5.23.0", "trl": "1.16.0"},
        platform="Linux-6.1-x86_64",
        host="node-1",
        cpu="A processor",
        cores=2,
        threads=2,
        memory_bytes=25_000_000_000,
        gpus=[],
    )
    _json(folder / DONE, record.plain())
    seal(folder)


def seal(folder: Path) -> None:
    """Lists a stage's files as they are now; nothing here outlives a crash of the machine."""
    with patch("os.fsync", lambda handle: None):
        commit.seal(folder)


def change(file: Path, how: Callable[[Json], None]) -> None:
    """Changes a JSON file of a finished stage, as if it had been written so."""
    value = json.loads(file.read_text(encoding="utf-8"))
    how(value)
    _json(file, value)
    seal(file.parent)


def rewrite(file: Path, text: str) -> None:
    """Gives a file of a finished stage another text, as if it had been written so."""
    file.write_text(text, encoding="utf-8")
    seal(file.parent)


def _key(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:12]


def _number(name: str) -> int:
    return int(_key(name), 16)


def _path(recipe: Recipe, seed: int) -> list[str]:
    base = f"source-{_key('base')}"
    if recipe.flops == 0:
        return [base]
    data = dict(recipe.options)["data"]
    return [
        base,
        f"source-{_key(data)}",
        f"encode-{_key('encode', data)}",
        f"finetune-{_key(recipe.name, str(seed))}",
    ]


def _write_training(store: Path, recipe: Recipe, path: list[str], seed: int, steps: int) -> None:
    for name in path[:-1] if recipe.flops else path:
        folder = store / name
        if name.startswith("encode"):
            counts = {"in": 2001, "kept": 1990, "rejected": 3, "duplicates": 8}
            encoding = {"template": "llama2", "max_length": 512, "counts": counts}
            encoding["reasons"] = {"no answer": 3}
            _json(folder / "encoding.json", encoding)
        settings = {"kind": name.rpartition("-")[0], "data": [{"source": {"uri": "hf:a/b"}}]}
        finish(folder, settings, {})
    if not recipe.flops:
        return
    folder = store / path[-1]
    noise = np.random.default_rng([seed, _number(recipe.name)]).normal(0, 0.04, steps)
    curve = [
        {
            "step": step + 1,
            "loss": round(4.2 + recipe.korean * (1 - np.exp(-step / 20)) + noise[step], 6),
            "lr": 2e-4,
            "tokens": (step + 1) * 4096,
            "seconds": step * 0.8,
        }
        for step in range(steps)
    ]
    settings = {"kind": "finetune", "seed": seed, "method": "lora"}
    trained = {
        "flops": recipe.flops,
        "tokens": steps * 4096,
        "bytes": 9_000_000,
        "ko_bytes": 7_500_000,
        "trainable_parameters": recipe.trainable,
        "loss_end": curve[-1]["loss"],
    }
    finish(folder, settings, trained, seconds=61.2 + seed, lines={"metrics": curve})


def _write_evaluation(
    folder: Path, recipe: Recipe, seed: int, items: int, answers: dict[str, str]
) -> None:
    lines: list[Item] = []
    shift = np.random.default_rng([7, seed, _number(recipe.name)]).normal(
        0, 0.02 * bool(recipe.flops)
    )
    korean = recipe.korean + shift
    for task, measure, level, worth, spread in (*MEASURES, ("text-en", "bpb", 1.90, 0.0, 0.15)):
        hard = np.random.default_rng([len(task), len(measure)]).normal(0, 1, items)
        own = np.random.default_rng([seed, _number(recipe.name), len(task)]).normal(0, 1, items)
        own *= bool(recipe.flops)
        moved = recipe.english if task == "text-en" else korean * worth
        for index in range(items):
            value = level + moved + spread * (hard[index] + 0.25 * own[index])
            if measure == "accuracy":
                value = float(0.5 + 0.2 * (hard[index] + own[index]) < level + moved)
            weight = 180.0 + 10 * (index % 7) if measure == "bpb" else 1.0
            lines.append(
                Item(
                    task=task,
                    measure=measure,
                    item=str(index),
                    cluster=str(index),
                    value=round(value * weight, 6),
                    weight=weight,
                )
            )
    shown = [
        {
            "task": "answer-ko",
            "item": str(index),
            "prompt": prompt,
            "answer": answers.get(recipe.name, "서울입니다."),
            "reference": "서울입니다." if index == 0 else None,
            **({"faults": FAULTS[recipe.name]} if recipe.name in FAULTS else {}),
        }
        for index, prompt in enumerate(PROMPTS)
    ]
    right = {
        line["item"]: line["value"] > 0.5
        for line in lines
        if (line["task"], line["measure"]) == ("quiz-ko", "accuracy")
    }
    for item, is_right in right.items():
        gold = int(item) % 4
        chosen = gold if is_right else (gold + 1 + len(recipe.name) % 3) % 4
        quiz = {"task": "quiz-ko", "item": item, "prompt": f"{item}번 문제: 도시는 어디에 있나요?"}
        quiz |= {"choices": QUIZ, "answer": QUIZ[chosen], "reference": QUIZ[gold]}
        shown.append(quiz)
    sums: dict[str, list[float]] = {}
    for line in lines:
        both = sums.setdefault(f"{line['task']}/{line['measure']}", [0.0, 0.0])
        both[0] += line["value"]
        both[1] += line["weight"]
    metrics = Evaluation(
        scores={name: value / weight for name, (value, weight) in sums.items()},
        counts={
            "text-ko": Counts(
                items=items,
                truncated=2 * (recipe.name == "vicuna-lora"),
                unscorable=int(recipe.name == "alpaca-lora"),
            ),
            "answer-ko": Counts(items=items, empty=3 * (recipe.name == "alpaca-qlora")),
        },
        flags={"quiz-ko": ["degenerate: 98% of answers are choice 1"]} if recipe.base else {},
        seconds={"text-ko": 1.5},
        suite="9f8e7d6c5b4a",
    )
    settings = {"kind": "evaluate", "suite": {"name": "quick", "tasks": []}}
    finish(folder, settings, metrics.plain(), seconds=5.5, lines={"items": lines, "samples": shown})


def _write_contamination(folder: Path, items: int, seen: int) -> None:
    lines = [
        {"task": "text-ko", "item": str(index), "share": 0.3 + 0.7 * (index < seen)}
        for index in range(seen + 1)
    ]
    lines = [{**one, "flagged": one["share"] > 0.5} for one in lines]
    counts = {
        "text-ko": {"items": items, "judged": items - 2, "flagged": seen},
        "quiz-ko": {"items": items, "judged": items - 5, "flagged": 0},
    }
    metrics = {"counts": counts, "documents": 900, "characters": 90_000, "threshold": 0.5}
    finish(folder, {"kind": "contamination"}, metrics, seconds=0.9, lines={"seen": lines})


def _json(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
