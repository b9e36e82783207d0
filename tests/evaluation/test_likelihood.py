import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kollama2.errors import BadData
from kollama2.evaluation.kinds import BitsPerByte, InstructionGain, TranslationPmi
from kollama2.evaluation.likelihood import (
    Outcome,
    Tools,
    bits_per_byte,
    instruction_gain,
    translation_pmi,
    wrong_prompts,
)
from kollama2.evaluation.rows import Row
from kollama2.evaluation.scorer import Scorer
from tests import tiny
from tests.evaluation.models import (
    ByteEncoder,
    PieceEncoder,
    constant,
    llama,
    naive_score,
    uniform,
)

TEXTS = [
    "여우가 숲에서 잡니다. 책을 읽었어요.",
    "The fox lives in the old town. " * 12,
    "가",
]


def texts(contents: Sequence[str] = TEXTS) -> list[Row]:
    return [
        {"id": str(number), "cluster": str(number), "text": content}
        for number, content in enumerate(contents)
    ]


def bpb_task(**fields: int) -> BitsPerByte:
    return BitsPerByte(name="t", measure_kind="bits_per_byte", data="", **fields)


def values(outcome: Outcome, measure: str) -> list[float]:
    return [one["value"] for one in outcome.records if one["measure"] == measure]


def score(outcome: Outcome) -> float:
    weights = math.fsum(one["weight"] for one in outcome.records)
    return math.fsum(one["value"] for one in outcome.records) / weights


def test_a_uniform_model_needs_log2_v_bits_for_every_token(tiny_tokenizer: Path) -> None:
    pieces = PieceEncoder(tiny_tokenizer)
    outcome = bits_per_byte(bpb_task(), texts(), Tools(Scorer(uniform(384)), pieces))
    for record, text in zip(outcome.records, TEXTS, strict=True):
        if len(text.encode()) <= 384:  # one window: exactly the tokens of the text
            assert record["value"] == pytest.approx(len(pieces.encode(text)) * math.log2(384))
        assert record["weight"] == len(text.encode())


def test_merges_change_the_bits_of_a_uniform_model_by_the_tokens_saved() -> None:
    model = Scorer(uniform(260))
    plain = bits_per_byte(bpb_task(), texts(), Tools(model, ByteEncoder()))
    merged = bits_per_byte(bpb_task(), texts(), Tools(model, ByteEncoder(merged=b"he")))
    bits = math.log2(260)
    assert score(plain) == pytest.approx(bits)
    saved = [text.count("he") * bits for text in TEXTS]
    assert np.subtract(values(plain, "bpb"), values(merged, "bpb")) == pytest.approx(saved)


def test_a_tokenizer_without_any_merge_sees_the_same_context_as_one_with() -> None:
    # One id whose probability is the product of its bytes': the tokenizer cannot matter.
    p = torch.full((260,), 1 / 512)
    p[259] = p[ord("h") + 3] * p[ord("e") + 3]
    p[0] = 1 - p[1:].sum()
    model = Scorer(constant(p))
    one, two = (
        values(bits_per_byte(bpb_task(), texts(), Tools(model, encoder)), "bpb")
        for encoder in (ByteEncoder(), ByteEncoder(merged=b"he"))
    )
    assert one == pytest.approx(two, abs=1e-3)


def test_windows_score_every_byte_after_bos_and_its_context() -> None:
    model, encoder = llama(), ByteEncoder()
    task = bpb_task(window=64, context=16)
    outcome = bits_per_byte(task, texts(["abcdefghij" * 10]), Tools(Scorer(model), encoder))
    ids = encoder.encode("abcdefghij" * 10)
    expected = (
        naive_score(model, [1], ids[:48])
        + naive_score(model, [1, *ids[32:48]], ids[48:96])
        + naive_score(model, [1, *ids[80:96]], ids[96:])
    )
    assert values(outcome, "bpb")[0] == pytest.approx(-expected / math.log(2), abs=1e-3)


@pytest.mark.parametrize("batch_tokens", [1, 300, 5000])
def test_the_batch_does_not_matter(batch_tokens: int) -> None:
    model = llama()
    one = bits_per_byte(bpb_task(), texts(), Tools(Scorer(model), ByteEncoder()))
    other = bits_per_byte(
        bpb_task(), texts(), Tools(Scorer(model, batch_tokens=batch_tokens), ByteEncoder())
    )
    assert score(one) == pytest.approx(score(other), abs=1e-5)


def test_a_tokenizer_that_loses_text_pays_eight_bits_for_every_byte() -> None:
    class Lossy(ByteEncoder):
        def encode(self, text: str) -> list[int]:
            return super().encode(text.replace("숲", "?"))

    outcome = bits_per_byte(bpb_task(), texts(), Tools(Scorer(uniform()), Lossy()))
    assert outcome.flags == ["the tokenizer changes 3 of 426 bytes in 1 of 3 items"]
    whole = bits_per_byte(bpb_task(), texts(), Tools(Scorer(uniform()), ByteEncoder()))
    lossy, plain = values(outcome, "bpb"), values(whole, "bpb")
    # Three bytes are one, which costs a byte of this model, and three times eight bits.
    assert lossy[0] == pytest.approx(plain[0] - 2 * math.log2(260) + 24)
    assert lossy[1:] == plain[1:]
    assert [one.get("changed") for one in outcome.records] == [3, None, None]
    assert [one["weight"] for one in outcome.records] == [one["weight"] for one in whole.records]


def test_a_text_without_a_token_is_never_certain() -> None:
    class Trimming(ByteEncoder):
        def answer(self, text: str) -> list[int]:
            return self.encode(text.strip())

    asked = [{"role": "user", "content": "Q"}]
    rows = [
        {"id": str(i), "cluster": str(i), "messages": asked, "answer": answer}
        for i, answer in enumerate(["가", " ", "나"])
    ]
    task = InstructionGain(name="t", measure_kind="instruction_gain", data="")
    outcome = instruction_gain(task, rows, Tools(Scorer(uniform()), Trimming()))
    assert [one["item"] for one in outcome.records] == ["0", "2"]
    assert outcome.counts().plain() == {
        "items": 3, "truncated": 0, "unscorable": 1, "empty": 0, "failed": 0
    }  # fmt: skip
    assert outcome.flags == [
        "1 of 3 items are left out: the tokenizer makes no token of a text that is to be scored"
    ]


def test_a_text_follows_the_first_id() -> None:
    """BOS or, where a tokenizer has none, what ends documents: every byte is scored."""
    model, encoder = llama(), ByteEncoder()
    found = []
    for first in (1, 2):
        encoder.first_id = first
        outcome = bits_per_byte(bpb_task(), texts(["가나"]), Tools(Scorer(model), encoder))
        found.append(values(outcome, "bpb")[0])
        expected = naive_score(model, [first], encoder.encode("가나"))
        assert found[-1] == pytest.approx(-expected / math.log(2), abs=1e-3)
    assert found[0] != found[1]


def test_what_does_not_fit_is_counted_and_left_out() -> None:
    tools = Tools(Scorer(llama(max_length=200)), ByteEncoder())
    outcome = bits_per_byte(bpb_task(), texts(), tools)
    assert (outcome.items, outcome.truncated) == (3, 1)
    assert [one["item"] for one in outcome.records] == ["0", "2"]


def test_broken_weights_are_said() -> None:
    model = uniform()
    torch.nn.init.constant_(model.get_output_embeddings().bias, torch.nan)
    with pytest.raises(BadData, match="no finite probability in 3 of 3 places"):
        bits_per_byte(bpb_task(), texts(), Tools(Scorer(model), ByteEncoder()))


@pytest.fixture(scope="module")
def reader() -> nn.Module:
    """A model that has read the tiny English sentences until it knows their words."""
    model = llama(seed=3)
    encoder = ByteEncoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rows = [[1, *encoder.encode(one)] for one in tiny.ENGLISH]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    model.train()
    for _ in range(80):
        loss = model(input_ids=ids, labels=ids.masked_fill(ids == 0, -100)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def test_controls_lose(reader: nn.Module) -> None:
    encoder = ByteEncoder()
    counts = torch.ones(260)
    for sentence in tiny.ENGLISH:
        for one in encoder.encode(sentence):
            counts[one] += 20
    draw = random.Random(0)
    shuffled = ["".join(draw.sample(one, len(one))) for one in tiny.ENGLISH]

    def bpb(model: nn.Module, contents: Sequence[str]) -> float:
        return score(bits_per_byte(bpb_task(), texts(contents), Tools(Scorer(model), encoder)))

    read = bpb(reader, tiny.ENGLISH)
    assert read < bpb(constant(counts / counts.sum()), tiny.ENGLISH) - 0.5
    assert read < bpb(reader, shuffled) - 2
    assert bpb(constant(counts / counts.sum()), shuffled) == pytest.approx(
        bpb(constant(counts / counts.sum()), tiny.ENGLISH)
    )


def chats() -> list[Row]:
    return [
        {
            "id": str(number),
            "cluster": str(number // 2),
            "messages": [{"role": "user", "content": question}],
            "answer": answer,
        }
        for number, (question, answer) in enumerate(
            [
                ("수도는?", "서울"),
                ("수도를 말해", "서울"),
                ("산은?", "설악"),
                ("강은 무엇?", "한강"),
            ]
        )
    ]


def test_wrong_prompts_have_another_cluster_and_answer_and_a_near_length() -> None:
    wrong = [one[0]["content"] for one in wrong_prompts(chats())]
    assert wrong == ["강은 무엇?", "강은 무엇?", "수도는?", "수도를 말해"]
    with pytest.raises(BadData, match="item 0: no other item"):
        wrong_prompts(chats()[:2])


def test_instruction_gain_is_what_the_right_prompt_saves() -> None:
    model, encoder = llama(), ByteEncoder()
    task = InstructionGain(name="t", measure_kind="instruction_gain", data="")
    outcome = instruction_gain(task, chats(), Tools(Scorer(model), encoder))
    for row, wrong, value in zip(
        chats(), wrong_prompts(chats()), values(outcome, "gain"), strict=True
    ):
        answer = encoder.encode(row["answer"])
        saved = naive_score(model, encoder.prompt(row["messages"]), answer) - naive_score(
            model, encoder.prompt(wrong), answer
        )
        assert value == pytest.approx(saved / math.log(2) / len(answer), abs=1e-4)


def test_an_answer_is_encoded_as_it_follows_a_prompt() -> None:
    class Spaced(ByteEncoder):
        def answer(self, text: str) -> list[int]:
            return self.encode(f" {text}")

    model = Scorer(uniform())
    task = InstructionGain(name="t", measure_kind="instruction_gain", data="")
    plain, spaced = (
        instruction_gain(task, chats(), Tools(model, encoder)).records[0]["bits"]
        for encoder in (ByteEncoder(), Spaced())
    )
    assert spaced == pytest.approx(plain * 7 / 6)


def test_short_fields_of_a_row_go_with_its_records() -> None:
    row = texts()[0] | {"kind": "news", "level": 3, "url": "x" * 50, "parts": ["a"]}
    outcome = bits_per_byte(bpb_task(), [row], Tools(Scorer(uniform()), ByteEncoder()))
    assert list(outcome.records[0])[6:] == ["kind", "level"]


def test_a_model_without_context_gains_nothing() -> None:
    tools = Tools(Scorer(uniform()), ByteEncoder())
    gain = instruction_gain(
        InstructionGain(name="t", measure_kind="instruction_gain", data=""), chats(), tools
    )
    assert values(gain, "gain") == [0.0] * 4
    rows: list[Row] = [{"id": "1", "cluster": "1", "en": "a fox", "ko": "여우"}]
    pmi = translation_pmi(
        TranslationPmi(name="t", measure_kind="translation_pmi", data=""), rows, tools
    )
    assert {one["measure"]: one["value"] for one in pmi.records} == {
        "pmi_en_ko": 0.0,
        "pmi_ko_en": 0.0,
    }


def test_translation_pmi_in_both_directions_is_the_mean_over_prompts() -> None:
    model, encoder = llama(), ByteEncoder()
    task = TranslationPmi(
        name="t",
        measure_kind="translation_pmi",
        data="",
        to_korean=("Korean: {source}", "{source} ->"),
        to_english=("영어: {source}",),
    )
    rows: list[Row] = [{"id": "1", "cluster": "1", "en": "a {source} fox", "ko": "여우"}]
    outcome = translation_pmi(task, rows, Tools(Scorer(model), encoder))

    def saved(prompt: str, source: str, target: str) -> float:
        given, empty = (
            naive_score(
                model,
                encoder.prompt([{"role": "user", "content": prompt.replace("{source}", text)}]),
                encoder.encode(target),
            )
            for text in (source, "")
        )
        return (given - empty) / math.log(2) / len(target.encode())

    english, korean = rows[0]["en"], rows[0]["ko"]
    to_korean = [saved(prompt, english, korean) for prompt in task.to_korean]
    assert values(outcome, "pmi_en_ko")[0] == pytest.approx(sum(to_korean) / 2, abs=1e-4)
    assert values(outcome, "pmi_ko_en")[0] == pytest.approx(
        saved(task.to_english[0], korean, english), abs=1e-4
    )
    json.dumps(outcome.records)
