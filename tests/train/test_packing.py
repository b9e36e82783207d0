"""Packing as a whole: nothing lost, nothing crossed, rows full, and the loss of padded batches."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from kollama2.data.encode import encode
from kollama2.model.load import load_model
from kollama2.train.attention import by_document
from kollama2.train.batches import IGNORED, BatchPlan, Rows, micro_batches
from kollama2.train.forward import summed_loss, tensors
from kollama2.train.settings import TrainSettings

FILES = [
    "instruct_ko/Volume21__github_test/ko_alpaca_data.open.json",
    "instruct_ko/quantumaikr__KoreanLM/korean_data.json",
    "instruct_ko/songys__Chatbot_data/ChatbotData.csv",
]


def test_the_padded_and_the_packed_batch_have_one_loss(tiny_model: Path, rows: Path) -> None:
    table, network = Rows(rows), load_model(tiny_model)
    plan = BatchPlan(table, TrainSettings(steps=1, batch=3, max_length=128, packing=True))
    documents = plan.step(0)
    assert len(documents) > 6
    with torch.no_grad(), by_document(network):
        runs = micro_batches(documents, 10**6)
        packed = sum(float(summed_loss(network, tensors(table, run))) for run in runs)
    longest = max(one.length for one in documents)
    ids = torch.zeros(len(documents), longest, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    mask = torch.zeros_like(ids)
    for at, one in enumerate(documents):
        found = [torch.from_numpy(np.array(part)).long() for part in table.tokens(one)]
        ids[at, : one.length], labels[at, : one.length] = found
        mask[at, : one.length] = 1
    with torch.no_grad():
        logits = network(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    padded = functional.cross_entropy(
        logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
    )
    count = int((labels[:, 1:] != IGNORED).sum())
    assert abs(packed - float(padded)) / count < 1e-5


@pytest.mark.parametrize("name", FILES)
def test_real_instructions_fill_their_rows(
    name: str, real_data: Path, tiny_tokenizer: Path, tmp_path: Path
) -> None:
    tokenizer = real_data / "tokenizers" / "karpathy__llama2.c"
    summary = encode(
        real_data / name,
        tokenizer if (tokenizer / "tokenizer.model").is_file() else tiny_tokenizer,
        tmp_path,
        template="llama2",
        max_length=4096,
    )
    table = Rows(tmp_path)
    settings = TrainSettings(epochs=1, batch=1, max_length=4096, packing=True)
    plan = BatchPlan(table, settings)
    steps = [plan.step(step) for step in range(plan.steps)]
    # 0 tokens lost: every token of every row is in exactly one packed row.
    assert sum(one.length for step in steps for one in step) == summary["tokens"]
    whole = [(one.row, one.start, one.stop) for step in steps for one in step]
    assert sorted(whole) == [(row, 0, int(n)) for row, n in enumerate(table.lengths)]
    # 0 documents crossed: attention is computed for these lengths alone, one by one.
    assert all(tensors(table, step)["lengths"] == tuple(o.length for o in step) for step in steps)
    assert max(sum(one.length for one in step) for step in steps) <= 4096
    filled = summary["tokens"] / (4096 * len(steps))
    print(f"{name}: {filled:.2%} of {len(steps)} rows filled")
    assert filled >= 0.98
