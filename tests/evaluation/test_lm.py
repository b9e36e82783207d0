"""The scorer under lm-eval gives what lm-eval's own Hugging Face backend gives."""

import copy
import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval import evaluator
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoTokenizer

from kollama2.errors import BadUsage
from kollama2.evaluation.generate import greedy
from kollama2.evaluation.harness_tasks import load_tasks
from kollama2.evaluation.kinds import Harness
from kollama2.evaluation.lm import SharedContextLM
from tests.evaluation.harness_files import TASKS, write
from tests.evaluation.models import llama, naive_score

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
logging.getLogger("lm_eval").setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_tokenizer)


@pytest.fixture(scope="module")
def model() -> Any:
    return llama(vocab_size=384, max_length=1024)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tasks"))


def run(lm: Any, task: Harness) -> tuple[dict[str, Any], list[Any]]:
    """lm-eval's results and the responses of every request."""
    loaded = {one.name: one.task for one in load_tasks(task)}
    found = evaluator.evaluate(
        lm, {"tasks": loaded, "groups": {}, "group_map": {}}, limit=task.limit, bootstrap_iters=0
    )
    samples = [one for name in loaded for one in found["samples"][name]]
    results = {name: found["results"][name] for name in loaded}
    return results, [resp for one in samples for resp in one["filtered_resps"]]


def assert_same(ours: list[Any], theirs: list[Any]) -> None:
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        if isinstance(other, tuple):
            assert one[0] == pytest.approx(other[0], abs=1e-3)
            assert one[1] == other[1]
        elif isinstance(other, float):
            assert one == pytest.approx(other, abs=1e-3)
        else:
            assert one == other


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(("shots", "fewshot"), [(0, "default"), (3, "default"), (3, "fixed")])
def test_every_kind_of_task_gives_the_stock_numbers(
    model: Any, tokenizer: Any, folder: Path, name: str, shots: int, fewshot: Any
) -> None:
    if name == "own_text" and shots:
        pytest.skip("whole texts have no examples before them")
    task = Harness(
        name="own", measure_kind="harness", tasks=(name,), include=str(folder),
        num_fewshot=shots, fewshot=fewshot,
    )  # fmt: skip
    results, ours = run(SharedContextLM(model, tokenizer), task)
    stock, theirs = run(HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4), task)
    assert_same(ours, theirs)
    numbers = {metric: one for metric, one in stock[name].items() if isinstance(one, float)}
    assert numbers
    for metric, value in numbers.items():
        assert results[name][metric] == pytest.approx(value, rel=1e-3, abs=1e-3), metric


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("boolq", "BoolQ"),
        ("copa", "COPA"),
        ("hellaswag", "HellaSwag"),
        ("sentineg", "SentiNeg"),
        ("wic", "WiC"),
    ],
)
@pytest.mark.parametrize(("shots", "fewshot"), [(0, "default"), (2, "default"), (2, "fixed")])
def test_kobest_gives_the_stock_numbers(
    real_data: Path, tokenizer: Any, name: str, file: str, shots: int, fewshot: Any
) -> None:
    task = Harness(
        name=name, measure_kind="harness", tasks=tuple(f"ko_{name}_{n}" for n in (1, 2, 3)),
        data=str(real_data / "eval_ko" / "SKT-LSL__KoBEST_datarepo"),
        files={"train": f"{file}.train.tsv", "test": f"{file}.dev.tsv"},
        num_fewshot=shots, fewshot=fewshot, limit=4,
    )  # fmt: skip
    big = llama(vocab_size=384, max_length=8192)
    results, ours = run(SharedContextLM(big, tokenizer), task)
    stock, theirs = run(HFLM(pretrained=big, tokenizer=tokenizer, batch_size=2), task)
    assert_same(ours, theirs)
    assert {k: v for one in results.values() for k, v in one.items() if k.startswith("acc")} == {
        k: v for one in stock.values() for k, v in one.items() if k.startswith("acc")
    }


def instance(context: str, continuation: str) -> Instance:
    return Instance("loglikelihood", {}, (context, continuation), 0, ("task", 7, 1))


def test_what_does_not_fit_is_cut_as_in_the_stock_backend_but_noted(tokenizer: Any) -> None:
    small = llama(vocab_size=384, max_length=32)
    wanted = [instance("여우가 숲에서 잡니다. " * 3, " the fox"), instance("", "A fox")]
    ours = SharedContextLM(small, tokenizer)
    theirs = HFLM(pretrained=small, tokenizer=tokenizer, batch_size=2)
    assert_same(ours.loglikelihood(wanted), theirs.loglikelihood(wanted, disable_tqdm=True))
    assert ours.truncated == {("task", 7)}


def test_a_token_over_the_border_is_scored_where_lm_eval_leaves_it_out(
    model: Any, tokenizer: Any
) -> None:
    """The tokenizer makes "The fo" [..., f, o] and "The fox" [..., f, ox]."""
    whole, before = tokenizer("The fox").input_ids, tokenizer("The fo").input_ids
    assert (len(whole), len(before), whole[:-1]) == (4, 4, before[:-1])
    wanted = [instance("The fo", one) for one in ("x", "x lives", "am")]
    whole_ids = tokenizer("The fox lives").input_ids
    other = instance("The fo", "am")
    other.doc_id = 8
    found = SharedContextLM(model, tokenizer).loglikelihood([*wanted, other])
    expected = [
        naive_score(model, whole[:3], tokenizer(f"The fo{one}").input_ids[3:])
        for one in ("x", "x lives", "am")
    ]
    assert [value for value, _ in found[:3]] == pytest.approx(expected, abs=1e-4)
    # Where no choice of an item is merged, the numbers are lm-eval's. Else it scores " lives"
    # behind "The fo", or stops where nothing is left.
    stock = HFLM(pretrained=model, tokenizer=tokenizer)
    theirs = stock.loglikelihood([wanted[1], other], disable_tqdm=True)
    assert found[3][0] == pytest.approx(theirs[1][0], abs=1e-3)
    assert theirs[0][0] == pytest.approx(naive_score(model, before, whole_ids[4:]), abs=1e-3)
    with pytest.raises(AssertionError):
        stock.loglikelihood(wanted[:1], disable_tqdm=True)


def test_a_text_without_a_token_cannot_be_scored(model: Any, tokenizer: Any) -> None:
    lm = SharedContextLM(model, tokenizer)
    found = lm.loglikelihood([instance("The fox", ""), instance("The fox", " in")])
    assert found[0] == (-math.inf, False)
    assert math.isfinite(found[1][0])
    assert lm.unscorable == {("task", 7)}
    assert lm._loglikelihood_tokens([(("a", ""), [5], [])]) == [(-math.inf, False)]


def test_a_context_that_is_merged_whole_leaves_what_texts_follow(
    model: Any, tokenizer: Any
) -> None:
    """Without BOS a first token over the border follows the token before every text."""
    bare = copy.deepcopy(tokenizer)
    bare.add_bos_token = False
    assert bare("T").input_ids[0] != bare("The").input_ids[0] != 1
    (found,) = SharedContextLM(model, bare).loglikelihood([instance("T", "he fox")])
    expected = naive_score(model, [1], bare("The fox").input_ids)
    assert found[0] == pytest.approx(expected, abs=1e-4)


def test_fixed_examples_are_computed_once(model: Any, tokenizer: Any, folder: Path) -> None:
    fixed = Harness(
        name="own", measure_kind="harness", tasks=("own_choice",), include=str(folder),
        num_fewshot=3, fewshot="fixed",
    )  # fmt: skip
    lm = SharedContextLM(model, tokenizer)
    run(lm, fixed)
    once = lm._scorer.computed
    lm = SharedContextLM(model, tokenizer)
    run(lm, fixed.model_copy(update={"fewshot": "default"}))
    assert once < lm._scorer.computed / 2


def test_every_stop_id_ends_an_answer(model: Any, tokenizer: Any) -> None:
    def said(**options: Any) -> str:
        asked = {"until": [], "max_gen_toks": 12}
        request = Instance("generate_until", {}, ("The fox", asked), 0, ("own", 0, 1))
        (text,) = SharedContextLM(model, tokenizer, **options).generate_until([request])
        return text

    prompt = tokenizer("The fox").input_ids
    ((whole, _),) = greedy(model, [prompt], max_new_tokens=12, stop_ids=[2], batch_tokens=99)
    assert said() == tokenizer.decode(whole)
    stop = next(one for at, one in enumerate(whole) if at > 2 and one not in whole[:at])
    assert said(stop_ids=[stop]) == tokenizer.decode(whole[: whole.index(stop)])
    assert said(stop_ids=[0]) == said()


def test_thoughts_are_no_part_of_an_answer(
    model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(prompt: str, text: str) -> str:
        request = Instance(
            "generate_until", {}, (prompt, {"until": ["\n\n"], "max_gen_toks": 4}), 0, ("own", 0, 1)
        )
        ids = tokenizer(text, add_special_tokens=False).input_ids
        monkeypatch.setattr("kollama2.evaluation.lm.greedy", lambda *_, **how: [(ids, True)])
        return SharedContextLM(model, tokenizer).generate_until([request])[0]

    assert answer("Q", "<think>one\n\ntwo</think>A fox\n\nrest") == "A fox"
    assert answer("Q <think>\n", "one\n\ntwo</think>A fox") == "A fox"
    assert answer("Q <think>\n", "one, two") == ""
    assert answer("Q", "A fox\n\nrest") == "A fox"


def test_sampling_is_refused(model: Any, tokenizer: Any) -> None:
    request = Instance(
        "generate_until", {}, ("a", {"do_sample": True, "temperature": 0.7}), 0, ("own", 0, 1)
    )
    with pytest.raises(BadUsage, match="samples its answers"):
        SharedContextLM(model, tokenizer).generate_until([request])


def test_bfloat16_scores_are_summed_in_float32(tokenizer: Any) -> None:
    half = llama(vocab_size=384).to(torch.bfloat16)
    (value, _), (again, _) = SharedContextLM(half, tokenizer).loglikelihood(
        [instance("a fox", " in the old town"), instance("a fox", " in the old town")]
    )
    assert value == again
    assert math.isfinite(value)
