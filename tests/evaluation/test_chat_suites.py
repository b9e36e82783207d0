"""The shipped chat suites on tiny copies of their data sets, in the layouts that they have."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaForCausalLM

from kollama2.engine.profile import Resources
from kollama2.evaluation.endpoint import Reply
from kollama2.evaluation.evaluate import evaluate
from kollama2.evaluation.remote import answer_suite
from kollama2.evaluation.suite import Suite, load_suite
from tests.evaluation.models import PieceEncoder

FOUR = ["봄", "여름", "가을", "겨울"]
NO_COMMA = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"num_words": None}]}
# By uri, configuration and split: two rows with the columns of each data set, all our own text.
ROWS: dict[str, dict[tuple[str, str], list[dict[str, Any]]]] = {
    "hf:LGAI-EXAONE/KMMLU-Redux": {
        ("default", "test"): [
            {"question": "꽃은 언제 핍니까?", "options": FOUR, "solution": 1, "category": "자연"},
            {"question": "눈은 언제 옵니까?", "options": FOUR, "solution": 4, "category": "자연"},
        ]
    },
    "hf:LGAI-EXAONE/KMMLU-Pro": {
        ("kmmlu_pro", "test"): [
            {"question": "꽃은?", "options": FOUR, "solution": "1", "score": 1.0, "year": 2024},
            {"question": "눈은?", "options": [*FOUR, "없음"], "solution": "5", "score": 1.0,
             "year": 2024},
        ]
    },
    "hf:EunsuKim/CLIcK": {
        ("default", "train"): [
            {"id": "a_1", "paragraph": "", "question": "꽃은?", "choices": FOUR, "answer": "봄"},
            {"id": "a_1", "paragraph": "글", "question": "눈은?", "choices": FOUR,
             "answer": "겨울"},
        ]
    },
    "hf:snunlp/KoBALT-700": {
        ("kobalt_v1", "raw"): [
            {"ID": f"x{at}", "Class": "Syntax", "Subclass": "a", "Question": "옳은 것은?\nA: 가",
             "Answer": gold, "Level": at, "Sampling_YN": 0}
            for at, gold in enumerate("AJ")
        ]
    },
    "hf:HAERAE-HUB/HRM8K": {
        (name, "test"): [
            {"question": f"{at} 더하기 1은?", "answer": at + 1.0, "original": "?"} for at in (1, 2)
        ]
        for name in ("GSM8K", "KSM", "MATH", "OMNI_MATH", "MMMLU")
    },
    "hf:allganize/IFEval-Ko": {
        ("default", "train"): [
            {"key": 1, "prompt": "쉼표 없이 쓰세요.", **NO_COMMA},
            {"key": 2, "prompt": "독일어로 쓰세요.",
             "instruction_id_list": ["language:response_language"], "kwargs": [{"language": "de"}]},
        ]
    },
    "hf:cais/mmlu": {
        ("all", "validation"): [
            {"question": "Spring?", "subject": "a", "choices": ["yes", "no"], "answer": at}
            for at in (0, 1)
        ]
    },
    "hf:openai/gsm8k": {
        ("main", "test"): [{"question": "1+1?", "answer": "It is <<1+1=2>>2.\n#### 2"}]
    },
    "hf:google/IFEval": {("default", "train"): [{"key": 1, "prompt": "No commas.", **NO_COMMA}]},
}  # fmt: skip
KOMT = {"question_id": 1, "category": "글쓰기", "turns": ["시를 써 주세요.", "더 짧게요."]}


@pytest.fixture
def mirrors(tmp_path: Path) -> dict[str, Path]:
    """A copy of every data set, as the hub's client leaves it."""
    places = {}
    for uri, parts in ROWS.items():
        folder = places[uri] = tmp_path / uri.rpartition("/")[2]
        folder.mkdir()
        card = ["---", "configs:"]
        for (config, split), rows in parts.items():
            file = f"{config}-{split}.jsonl"
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / file).write_text("".join(lines), encoding="utf-8")
            card += [f"- config_name: {config}", "  data_files:"]
            card += [f"  - {{split: {split}, path: {file}}}"]
        (folder / "README.md").write_text("\n".join([*card, "---", ""]), encoding="utf-8")
    file = tmp_path / "question_ko.jsonl"
    file.write_text(json.dumps(KOMT, ensure_ascii=False) + "\n", encoding="utf-8")
    [komt] = [uri for uri in load_suite("ko-chat").pinned() if uri.startswith("github:")]
    return {**places, komt: file}


def small(name: str, mirrors: dict[str, Path]) -> Suite:
    """A shipped suite on the copies, its answers cut early."""
    suite = load_suite(name).resolved(mirrors.__getitem__)
    tasks = tuple(
        one.model_copy(update={"max_new_tokens": 8}) if hasattr(one, "max_new_tokens") else one
        for one in suite.tasks
    )
    return suite.model_copy(update={"tasks": tasks})


@pytest.mark.parametrize("name", ["ko-chat", "en-chat"])
def test_a_tiny_model_goes_through_a_shipped_suite(
    name: str, mirrors: dict[str, Path], tiny_model: Path, tmp_path: Path
) -> None:
    suite = small(name, mirrors)
    found = evaluate(
        suite,
        model=LlamaForCausalLM.from_pretrained(tiny_model),
        encoder=PieceEncoder(tiny_model),
        out=tmp_path,
        resources=Resources(micro_batch_tokens=20_000),
        progress=lambda *_, **__: None,
    )
    assert tuple(found["scores"]) == suite.measures()
    assert not any(one["truncated"] for one in found["counts"].values())


class Right:
    """An endpoint that knows the answers."""

    model = "right"

    def ask(self, messages: Any, max_tokens: int) -> Reply:
        """What is right, for the questions of `ROWS`."""
        question = messages[-1]["content"]
        said = "네"
        for start, answer in (
            ("꽃은", "정답: A"), ("눈은 언제", "정답: D"), ("E. 없음", "정답: E"),
            ("글\n\n눈은", "정답: D"), ("옳은 것은", "정답: A"), ("1 더하기", "\\boxed{2}"),
            ("2 더하기", "\\boxed{3}"),
        ):  # fmt: skip
            said = answer if start in question else said
        return Reply(said, True, 1)


def test_who_is_right_gets_all_points_but_those_of_one_item(
    mirrors: dict[str, Path], tmp_path: Path
) -> None:
    found = answer_suite(small("ko-chat", mirrors), Right(), tmp_path, lambda *_, **__: None)
    exact = {name: value for name, value in found["scores"].items() if name.endswith("/exact")}
    # KoBALT's second item has the answer J.
    assert exact == {name: 0.5 if name == "kobalt/exact" else 1 for name in exact}
    assert len(exact) == 9
    assert found["scores"]["ifeval-ko/follows"] == 1
    assert found["counts"]["ifeval-ko"]["unknown_rules"] == 1
    assert found["scores"]["k/points"] == pytest.approx(100 * 5.5 / 6)
