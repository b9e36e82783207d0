"""lm-eval's tasks in a suite: their records, their digest, and what a user may get wrong."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from kollama2.engine.profile import Resources
from kollama2.errors import BadData, BadUsage, Missing
from kollama2.evaluation.evaluate import evaluate
from kollama2.evaluation.harness import harness, harness_texts
from kollama2.evaluation.harness_tasks import load_tasks
from kollama2.evaluation.kinds import Harness
from kollama2.evaluation.likelihood import Tools
from kollama2.evaluation.outcome import scores
from kollama2.evaluation.scorer import Scorer
from kollama2.evaluation.suite import Suite
from kollama2.records.items import load_items
from tests.evaluation.harness_files import write
from tests.evaluation.models import ByteEncoder, PieceEncoder, llama

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_tokenizer)


@pytest.fixture(scope="module")
def model() -> Any:
    return llama(vocab_size=384, max_length=1024)


def own(folder: Path, *names: str, **fields: Any) -> Harness:
    return Harness(
        name="own", measure_kind="harness", tasks=names, include=str(folder), **fields
    )  # fmt: skip


def measured(task: Harness, model: Any, tokenizer: Any) -> Any:
    return harness(task, Tools(Scorer(model), ByteEncoder()), model, tokenizer)


def test_paraphrases_are_averaged_item_by_item(model: Any, tokenizer: Any, folder: Path) -> None:
    both = measured(own(folder, "own_choice", "own_label"), model, tokenizer)
    one = measured(own(folder, "own_choice"), model, tokenizer)
    other = measured(own(folder, "own_label"), model, tokenizer)
    first, second = (
        {(record["item"], record["measure"]): record["value"] for record in outcome.records}
        for outcome in (one, other)
    )
    for record in both.records:
        place = record["item"], record["measure"]
        assert record["by_prompt"] == pytest.approx([first[place], second[place]], abs=1e-5)
        assert record["value"] == pytest.approx(sum(record["by_prompt"]) / 2)
    # acc_norm is asked for by one of the two files alone.
    assert {record["measure"] for record in both.records} == {
        "p_gold", "acc", "acc_bytes", "margin", "brier"
    }  # fmt: skip
    assert both.items == 6
    assert "by_prompt" not in one.records[0]


def test_a_group_keeps_its_tasks_apart(model: Any, tokenizer: Any, folder: Path) -> None:
    group = measured(own(folder, "own_group", cluster="place"), model, tokenizer)
    assert group.items == 12
    assert {record["subtask"] for record in group.records} == {"own_choice", "own_label"}
    assert {record["cluster"] for record in group.records[:1]} == {"own_choice/사과"}
    assert set(group.reproduced) == {"own_choice", "own_label"}


def test_whole_texts_become_bits_per_byte(model: Any, tokenizer: Any, folder: Path) -> None:
    outcome = measured(own(folder, "own_text"), model, tokenizer)
    values, weights = zip(*[(one["value"], one["weight"]) for one in outcome.records], strict=True)
    assert {one["measure"] for one in outcome.records} == {"bpb"}
    stock = outcome.reproduced["own_text"]["bits_per_byte"]
    assert sum(values) / sum(weights) == pytest.approx(stock, abs=1e-6)


def test_measures_bring_the_directions_that_lm_eval_declares(
    model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    folder = write(tmp_path)
    path = folder / "own_last.yaml"
    text = path.read_text(encoding="utf-8")
    asked = "[{metric: perplexity}, {metric: acc, aggregation: mean, higher_is_better: false}]"
    path.write_text(text[: text.index("[{metric: perp")] + asked + "\n", encoding="utf-8")
    outcome = measured(own(folder, "own_last"), model, tokenizer)
    assert {name: (one.unit, one.better) for name, one in outcome.declared.items()} == {
        "loglikelihood": ("nats", "higher"),  # what the items' values behind a perplexity are
        "acc": ("share", "lower"),
    }
    assert {one["measure"] for one in outcome.records} == {"loglikelihood", "acc"}
    found = math.exp(-scores(outcome.records)["own/loglikelihood"])
    assert found == pytest.approx(outcome.reproduced["own_last"]["perplexity"])


@pytest.mark.parametrize(
    ("metric", "settings", "name", "better"),
    [
        ("exact_match", "aggregation: mean, higher_is_better: true", "exact_match", "higher"),
        ("exact_match", "aggregation: median, higher_is_better: false", "exact_match", "lower"),
        ("exact_match", "aggregation: !function own.sum", "exact_match_items", "unknown"),
        ("!function own.recall", "aggregation: mean, higher_is_better: true", "lm_eval_recall",
         "higher"),
        ("!function own.length", "aggregation: mean", "length", "unknown"),
    ],
)  # fmt: skip
def test_a_direction_is_declared_or_unknown(
    model: Any, tokenizer: Any, tmp_path: Path, metric: str, settings: str, name: str, better: str
) -> None:
    folder = write(tmp_path)
    (folder / "own.py").write_text(
        "sum = sum\ndef recall(references, predictions, **_): return 0.5\n"
        "def length(references, predictions, **_): return float(len(predictions[0]))\n"
    )
    path = folder / "own_answer.yaml"
    text = path.read_text(encoding="utf-8")
    asked = f"metric_list: [{{metric: {metric}, {settings}}}]\n"
    path.write_text(text[: text.index("metric_list")] + asked, encoding="utf-8")
    outcome = measured(own(folder, "own_answer", limit=2), model, tokenizer)
    assert {one["measure"] for one in outcome.records} == {name}
    assert outcome.declared[name].better == better


def test_items_that_do_not_fit_are_counted_and_left_out(tokenizer: Any, folder: Path) -> None:
    small = llama(vocab_size=384, max_length=100)
    outcome = measured(own(folder, "own_choice", num_fewshot=1, fewshot="fixed"), small, tokenizer)
    assert outcome.truncated == 6
    assert outcome.records == []


def test_items_with_a_choice_of_no_token_are_left_out(
    model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    rows = [
        {"text": "The fox", "choices": [one, " lives"], "gold": 1} for one in (" in", "", " is")
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    (tmp_path / "task.yaml").write_text(
        "task: own\ndataset_path: json\noutput_type: multiple_choice\ntest_split: test\n"
        'doc_to_text: "{{text}}"\ndoc_to_choice: "{{choices}}"\ntarget_delimiter: ""\n'
        "doc_to_target: gold\nmetric_list: [{metric: acc}]\n"
    )
    task = own(tmp_path, "own", data=str(tmp_path / "rows.jsonl"))
    outcome = measured(task, model, tokenizer)
    assert (outcome.items, outcome.unscorable) == (3, 1)
    assert {one["item"] for one in outcome.records} == {"0", "2"}
    assert outcome.flags == [
        "1 of 3 items are left out: the tokenizer makes no token of a text that is to be scored"
    ]


def test_the_text_of_an_item_is_what_the_prompt_shows_and_the_answer(folder: Path) -> None:
    # Neither its id nor its place, which no training text would repeat.
    found = harness_texts(own(folder, "own_choice", num_fewshot=1))
    assert found.items[0]["text"] == "사과 이야기를 1번 들었다. 강도 보았다. 사과가 좋다"
    assert found.examples[0]["text"] == "바다 이야기를 7번 들었다. 저녁도 보았다. 바다가 좋다"


def test_the_digest_is_that_of_what_the_model_sees(folder: Path, tmp_path: Path) -> None:
    def digest(task: Harness) -> str:
        from kollama2.evaluation.harness import _digest

        return _digest(load_tasks(task), task.limit)

    elsewhere = write(tmp_path)
    same = digest(own(folder, "own_choice"))
    assert digest(own(elsewhere, "own_choice")) == same
    assert digest(own(folder, "own_choice", num_fewshot=1)) != same
    assert digest(own(folder, "own_choice", limit=3)) != same
    path = elsewhere / "own_choice.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("글:", "문장:"), encoding="utf-8")
    assert digest(own(elsewhere, "own_choice")) != same


def test_data_may_come_from_files_instead_of_the_hub(
    model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    rows = [("Text", "Question", "Answer"), ("여우는 숲에 산다.", "여우는 숲에 사는가?", "True")]
    (tmp_path / "dev.tsv").write_text(
        "\n".join("\t".join(row) for row in rows) + "\n", encoding="utf-8"
    )
    task = Harness(
        name="boolq", measure_kind="harness", tasks=("ko_boolq_1", "ko_boolq_2", "ko_boolq_3"),
        data=str(tmp_path), files={"train": "dev.tsv", "test": "dev.tsv"},
    )  # fmt: skip
    outcome = measured(task, model, tokenizer)
    assert outcome.samples[0]["reference"] == "예"
    assert outcome.samples[0]["choices"] == ["아니요", "예"]
    assert len(outcome.records[0]["by_prompt"]) == 3


BOOLQ = "Text\tQuestion\tAnswer\n여우는 숲에 산다.\t여우는 숲에 사는가?\t{}\n"


@pytest.mark.parametrize("layout", ["{}.{}.tsv", "v1.0/{}/{}.tsv", "{}-{}.tsv"])
def test_a_folder_of_several_data_sets_is_read_by_the_names_of_its_files(
    model: Any, tokenizer: Any, tmp_path: Path, layout: str
) -> None:
    for name in ("BoolQ", "COPA", "Hard-BoolQ"):
        for split, answer in (("train", "False"), ("dev", "True"), ("test", "True")):
            path = tmp_path / layout.format(name, split)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(BOOLQ.format(answer), encoding="utf-8")
    (tmp_path / "_SOURCE.txt").write_text("boolq test")
    task = Harness(
        name="boolq", measure_kind="harness", tasks=("ko_boolq_1",), data=str(tmp_path),
        num_fewshot=1,
    )  # fmt: skip
    (loaded,) = load_tasks(task)
    assert (loaded.task.config.test_split, loaded.validated) == ("test", False)
    outcome = measured(task, model, tokenizer)
    assert (outcome.items, outcome.samples[0]["reference"], outcome.flags) == (1, "예", [])
    # The first sample shows all that the model read: here an example and the question.
    shown = outcome.samples[0]
    assert shown["asked"].endswith(f"답: 아니요\n\n{shown['prompt']}")


def test_items_are_those_of_validation_where_there_is_no_test(
    model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    (tmp_path / "BoolQ.dev.tsv").write_text(BOOLQ.format("True"), encoding="utf-8")
    task = Harness(name="boolq", measure_kind="harness", tasks=("ko_boolq_1",), data=str(tmp_path))
    outcome = measured(task, model, tokenizer)
    assert outcome.flags == ["the data have no test split: the items are those of validation"]
    assert outcome.items == 1
    with pytest.raises(BadData, match="1 examples are drawn from the split 'train', and the data"):
        measured(task.model_copy(update={"num_fewshot": 1}), model, tokenizer)


@pytest.mark.parametrize("shots", [0, 1])
def test_data_need_a_train_split_for_examples_alone(
    model: Any, tokenizer: Any, folder: Path, tmp_path: Path, shots: int
) -> None:
    (tmp_path / "test.jsonl").write_bytes((folder / "test.jsonl").read_bytes())
    for data, files in (
        (tmp_path, {}),
        (tmp_path / "test.jsonl", {}),
        (tmp_path, {"test": "test.jsonl"}),
    ):
        task = own(folder, "own_choice", data=str(data), files=files, num_fewshot=shots, limit=2)
        if shots:
            with pytest.raises(BadData, match="drawn from the split 'train'"):
                load_tasks(task)
        else:
            assert measured(task, model, tokenizer).items == 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.jsonl": ""}, "no file in .* has train, dev, validation or test in its name"),
        ({"a/test.jsonl": "", "b/test.jsonl": ""}, r"2 files for the split test of the data"),
        ({"train.jsonl": "{}"}, "its items are those of the split 'test', and the data have train"),
    ],
)
def test_a_folder_that_does_not_say_its_splits_is_told(
    folder: Path, tmp_path: Path, files: dict[str, str], message: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(BadData, match=message):
        load_tasks(own(folder, "own_choice", data=str(tmp_path)))


def test_a_package_of_an_extra_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import langdetect\ndef ask(doc): return ''\n")
    (tmp_path / "task.yaml").write_text(
        f"include: {folder}/own_choice.yaml\ntask: own_extra\ndoc_to_text: !function own.ask\n"
    )
    with pytest.raises(Missing, match=r"needs the package langdetect; install it by: pip install "
                       r"'lm_eval\[ifeval\]'") as told:  # fmt: skip
        load_tasks(own(tmp_path, "own_extra"))
    assert told.value.exit_code == 69


def test_each_split_may_be_a_file_of_its_own(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    for split, answer in (("train", "False"), ("test", "True")):
        (tmp_path / split).mkdir()
        text = f"Text\tQuestion\tAnswer\n여우는 숲에 산다.\t여우는 숲에 사는가?\t{answer}\n"
        (tmp_path / split / "boolq[1].tsv").write_text(text, encoding="utf-8")
    task = Harness(
        name="boolq", measure_kind="harness", tasks=("ko_boolq_1",), num_fewshot=1,
        files={"train": "github:a/b/train.tsv", "test": "github:a/b/test.tsv"},
    )  # fmt: skip
    assert task.uris() == ("github:a/b/train.tsv", "github:a/b/test.tsv")
    placed = task.resolved(lambda uri: tmp_path / uri.removeprefix("github:a/b/")[:-4])
    outcome = measured(placed, model, tokenizer)
    assert (outcome.items, outcome.samples[0]["reference"]) == (1, "예")


def test_a_suite_runs_lm_eval_tasks_beside_its_own(
    model: Any, tokenizer: Any, tiny_tokenizer: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("여우가 숲에서 잡니다.\n", encoding="utf-8")
    suite = Suite(
        name="mixed",
        primary="own/p_gold",
        tasks=(
            own(folder, "own_choice"),
            {
                "name": "text", "measure_kind": "bits_per_byte",
                "data": str(tmp_path / "text.txt"),
            },
        ),
    )  # fmt: skip
    (tmp_path / "out").mkdir()
    found = evaluate(
        suite,
        model=model,
        encoder=PieceEncoder(tiny_tokenizer),
        out=tmp_path / "out",
        resources=Resources(),
        progress=lambda *_, **__: None,
        tokenizer=lambda: tokenizer,
    )
    assert {"own/p_gold", "own/acc", "own/acc_norm", "text/bpb"} <= set(found["scores"])
    assert found["scores"]["own/acc"] == found["reproduced"]["own_choice"]["acc"]
    assert set(load_items(tmp_path / "out" / "items.jsonl")) == set(found["scores"])
    sample = json.loads((tmp_path / "out" / "samples.jsonl").read_text().splitlines()[0])
    assert sample["answer"] == sample["choices"][sample["chosen"]]


@pytest.mark.parametrize(
    ("fields", "fault", "message"),
    [
        pytest.param(
            {"tasks": ("own_choise",)},
            BadUsage,
            "no task 'own_choise'; did you mean own_choice",
            marks=pytest.mark.slow,  # it reads the files of all of lm-eval's tasks
        ),
        ({"cluster": "town"}, BadData, "have no field 'town'"),
        ({"data": "{folder}", "files": {"test": "none.jsonl"}}, BadData, "holds 0 files"),
        (
            {"data": "{folder}", "files": {"test": "own_text.yaml", "train": "train.jsonl"}},
            BadData,
            "own_text.yaml cannot be read",
        ),
        ({"tasks": ("ko_boolq_1",)}, Missing, "hf:skt/kobest_v1: path/to/copy"),
    ],
)
def test_mistakes_are_one_clear_sentence(
    model: Any, tokenizer: Any, folder: Path, fields: dict[str, Any], fault: Any, message: str
) -> None:
    if "data" in fields:
        fields = {**fields, "data": str(folder)}
    wanted: dict[str, Any] = {"tasks": ("own_choice",), "include": str(folder), **fields}
    task = Harness.model_validate({"name": "own", "measure_kind": "harness", **wanted})
    with pytest.raises(fault, match=message):
        measured(task, model, tokenizer)
