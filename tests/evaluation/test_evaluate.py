import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaForCausalLM

from kollama2.engine.profile import Resources
from kollama2.evaluation.evaluate import evaluate
from kollama2.evaluation.statistics import family
from kollama2.evaluation.suite import Suite
from kollama2.records.items import load_items
from kollama2.records.measures import measure
from tests import tiny
from tests.evaluation.models import PieceEncoder

TASKS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "text-ko": ("bits_per_byte", [{"text": one} for one in tiny.KOREAN]),
    "instruct-ko": (
        "instruction_gain",
        [
            {"messages": [{"role": "user", "content": one}], "answer": other}
            for one, other in zip(tiny.ENGLISH, tiny.KOREAN, strict=False)
        ],
    ),
    "translate": (
        "translation_pmi",
        [{"en": one, "ko": two} for one, two in zip(tiny.ENGLISH, tiny.KOREAN, strict=False)],
    ),
    "facts-ko": (
        "multiple_choice",
        [
            {"question": one, "choices": ["사과", "배"], "gold": 1, "known_in": where}
            for one, where in zip(tiny.KOREAN, ("en", "ko", "en"), strict=True)
        ],
    ),
    "answers-ko": (
        "generation",
        [{"messages": [{"role": "user", "content": one}]} for one in tiny.KOREAN],
    ),
}


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    tasks: list[dict[str, Any]] = []
    for name, (kind, rows) in TASKS.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
        )
        tasks.append({"name": name, "measure_kind": kind, "data": str(path)})
    tasks[-1]["max_new_tokens"] = 6
    return Suite.model_validate({"name": "small", "primary": "text-ko/bpb", "tasks": tasks})


def run(suite: Suite, model_folder: Path, out: Path, batch_tokens: int = 4096) -> Any:
    out.mkdir()
    heard: list[tuple[float, float]] = []
    metrics = evaluate(
        suite,
        model=LlamaForCausalLM.from_pretrained(model_folder),
        encoder=PieceEncoder(model_folder),
        out=out,
        resources=Resources(micro_batch_tokens=batch_tokens),
        progress=lambda done, total, unit, **figures: heard.append((done, total)),
    )
    assert heard == sorted(heard)
    assert {(3, 15), (6, 15), (9, 15), (12, 15), (15, 15)} <= set(heard)
    return metrics


def test_a_model_is_measured_with_everything(
    suite: Suite, tiny_model: Path, tmp_path: Path
) -> None:
    metrics = run(suite, tiny_model, tmp_path / "one")
    assert tuple(metrics["scores"]) == suite.measures()
    assert metrics["suite"] == suite.hash()
    assert set(metrics["counts"]["facts-ko"].values()) == {3, 0}
    assert set(metrics["seconds"]) == set(TASKS)
    assert set(metrics["subscores"]["facts-ko/p_gold"]) == {"known_in=en", "known_in=ko"}
    loaded = load_items(tmp_path / "one" / "items.jsonl")
    assert {name: one.score for name, one in loaded.items()} == pytest.approx(metrics["scores"])
    assert all(measure(name) for name in loaded)
    samples = [
        json.loads(line)
        for line in (tmp_path / "one" / "samples.jsonl").read_text("utf-8").splitlines()
    ]
    assert [one["task"] for one in samples] == ["facts-ko"] * 3 + ["answers-ko"] * 3
    json.dumps(metrics)


def test_twice_gives_the_same_bytes_and_a_tie(
    suite: Suite, tiny_model: Path, tmp_path: Path
) -> None:
    first = run(suite, tiny_model, tmp_path / "one")
    again = run(suite, tiny_model, tmp_path / "two")
    for name in ("items.jsonl", "samples.jsonl"):
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two
    assert first["scores"] == again["scores"]
    loaded = [load_items(tmp_path / folder / "items.jsonl") for folder in ("one", "two")]
    for name in suite.measures():
        found = family({"base": [loaded[0][name]], "copy": [loaded[1][name]]}, "base", True)
        versus = found["copy"].versus_base
        assert versus is not None and (versus.value, versus.separable) == (0, False)
    other = run(suite, tiny_model, tmp_path / "three", batch_tokens=64)
    assert other["scores"] == pytest.approx(first["scores"], abs=1e-4)


def test_what_the_report_reads_never_imports_torch() -> None:
    code = (
        "import sys, kollama2.evaluation.statistics, kollama2.evaluation.suite, "
        "kollama2.records.measures; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
