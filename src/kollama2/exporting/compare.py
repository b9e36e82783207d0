"""Compare: what is handed over beside what it was made of, on a few texts of our own."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kollama2.model.folder import ModelFolder
from kollama2.model.handover import differ_at

TEXTS: dict[str, tuple[str, ...]] = {
    "ko": (
        "가을이 되면 마을 뒷산의 은행나무가 가장 먼저 노랗게 물든다. 아이들은 학교가 끝나면 "
        "그 아래에 모여 떨어진 잎을 줍고, 할머니들은 평상에 앉아 고추를 말린다.",
        "지하철은 도시 사람들의 하루를 나르는 교통수단이다. 출근 시간의 열차는 발 디딜 틈이 "
        "없지만, 첫차를 타 본 사람은 텅 빈 객차에 비치는 새벽빛을 기억한다.",
        "물은 섭씨 0도에서 얼고 100도에서 끓는다. 다만 높은 산에서는 기압이 낮아서 더 낮은 "
        "온도에서 끓기 때문에, 밥을 지을 때 뚜껑 위에 돌을 얹어 두기도 한다.",
    ),
    "en": (
        "In autumn the ginkgo behind the village is the first tree to turn yellow. Children meet "
        "under it after school to gather the leaves that the wind has brought down.",
        "Water freezes at zero degrees and boils at one hundred. On a high mountain the air is "
        "thinner, so it boils sooner, and rice takes longer to cook.",
        "A library is more than a room full of books. It is a quiet promise that what somebody "
        "once found out need not be found out again by everyone who comes later.",
    ),
}
"""By language, written for this purpose, so that no model has read them."""
PROMPTS = ("한국의 수도는", "옛날 어느 마을에", "The capital of France is", "Water boils at")
_PATIENCE = 1800
"""Seconds for one answer; a large model on one thread needs minutes."""
NEW = 64
"""Tokens of a greedy continuation."""


class Heard(NamedTuple):
    """What a model says of the texts and the prompts.

    Attributes:
        bits: per byte, by language.
        logits: log-probabilities of every text's next tokens, shape (tokens, vocabulary) each.
        greedy: the ids that follow each prompt.
    """

    bits: dict[str, float]
    logits: list[Tensor]
    greedy: list[list[int]]


@torch.no_grad()
def hear(model: Any, folder: ModelFolder) -> Heard:
    """What a model says.

    Args:
        model: in evaluation mode.
        folder: whose tokenizer and stop ids it has.
    """
    kept: list[Tensor] = []
    bits = dict[str, float]()
    for language, texts in TEXTS.items():
        nats = 0.0
        for text in texts:
            ids = _begun(folder, text)
            found = model(torch.tensor([ids], device=model.device)).logits[0, :-1].float()
            logs = found.log_softmax(-1).cpu()
            nats -= float(logs.gather(-1, torch.tensor(ids[1:])[:, None]).sum())
            kept.append(logs)
        bits[language] = nats / math.log(2) / sum(len(text.encode()) for text in texts)
    return Heard(bits, kept, [_continued(model, folder, prompt) for prompt in PROMPTS])


def divergence(first: Heard, second: Heard) -> float:
    """The mean KL divergence of the second from the first, in nats a token."""
    width = min(first.logits[0].shape[-1], second.logits[0].shape[-1])
    total = count = 0.0
    for p, q in zip(first.logits, second.logits, strict=True):
        p, q = p[:, :width], q[:, :width]
        total += float((p.exp() * (p - q)).sum())
        count += len(p)
    return total / count


def alike(first: Sequence[Sequence[int]], second: Sequence[Sequence[int]]) -> tuple[int, int]:
    """How many greedy tokens are equal up to the first other one, and of how many."""
    same = 0
    for ours, theirs in zip(first, second, strict=True):
        at = differ_at(ours, theirs)
        same += min(len(ours), len(theirs)) if at is None else at
    return same, sum(map(len, first))


def _begun(folder: ModelFolder, text: str) -> list[int]:
    """A text's ids behind BOS or, where there is none, the token that ends documents."""
    tokenizer = folder.tokenizer
    first = tokenizer.eos_id if tokenizer.bos_id is None else tokenizer.bos_id
    return [first, *tokenizer.encode(text)]


def _continued(model: Any, folder: ModelFolder, prompt: str) -> list[int]:
    ids = folder.tokenizer.begun(prompt)
    found = model.generate(
        torch.tensor([ids], device=model.device),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long, device=model.device),
        max_new_tokens=NEW,
        do_sample=False,
        eos_token_id=list(folder.stop_ids),
        pad_token_id=folder.tokenizer.eos_id,
    )
    return [int(i) for i in found[0, len(ids) :]]


@contextmanager
def llama_cpp(path: Path) -> Iterator[Any]:
    """A function that asks llama.cpp's server on a GGUF; None where `xllamacpp` is not installed.

    The server listens on a free port of the loopback, and stops at the end of the block.
    """
    import importlib
    import importlib.util
    import json
    import urllib.request

    if importlib.util.find_spec("xllamacpp") is None:
        yield None
        return
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path, params.port = str(path), 0
    params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 512, 1, 1
    params.verbosity = 0  # errors alone
    servers = [xllamacpp.Server(params)]
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the loopback has none

    def ask(place: str, **what: Any) -> Any:
        address = servers[0].listening_address + place  # always http://127.0.0.1
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(address, json.dumps(what).encode(), headers)  # noqa: S310
        with direct.open(request, timeout=_PATIENCE) as answer:
            return json.load(answer)

    try:
        yield ask
    finally:
        servers.clear()  # it stops when nothing holds it any more


def gap(model: Any, ids: Sequence[int], ours: int, theirs: int) -> float:
    """By how many nats a model prefers one token to another behind some ids."""
    with torch.no_grad():
        logs = model(torch.tensor([list(ids)], device=model.device)).logits[0, -1].float()
    return float(logs[ours] - logs[theirs])
