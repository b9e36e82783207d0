"""Log-likelihoods of continuations under a causal language model, exact and fast."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from torch import nn

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

# Larger passes are slower on CPU: their activations leave the caches.
_CPU_TOKENS = 1024
# Logits kept at a time: 2**24 floats are 64 MiB.
_LOGITS = 2**24


class Encoder(Protocol):
    """Text to ids and back, and a chat's prompt, as one model was taught them."""

    @property
    def bos_id(self) -> int | None:
        """The id that every sequence begins with; None where the model knows none."""

    @property
    def stop_ids(self) -> Collection[int]:
        """Ids that end an answer."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text's content; never a control id."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; bytes that form no character become U+FFFD."""

    def answer(self, text: str) -> list[int]:
        """Ids of an answer as it follows a prompt, without what ends it."""

    def prompt(self, messages: Sequence[Any]) -> list[int]:
        """Ids of a chat ({"role", "content"} each), BOS included, up to where the answer begins."""


class Request(NamedTuple):
    """Ids to be scored and the ids before them."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]


@dataclass
class _Row:
    """A context and the continuations that branch off it; the last id of each is never fed."""

    context: tuple[int, ...]
    requests: list[int] = field(default_factory=list)
    branches: list[tuple[int, ...]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.context) + sum(map(len, self.branches))


class Scorer:
    """Scores requests with one model; a context that several requests share is computed once."""

    def __init__(self, model: nn.Module, *, batch_tokens: int = 2048) -> None:
        """`batch_tokens`: most padded positions in one forward pass."""
        unwrapped = getattr(model, "get_base_model", lambda: model)
        base: Any = unwrapped()
        self._decoder: Any = base.get_decoder()
        self._head: nn.Module = base.get_output_embeddings()
        self._device = next(model.parameters()).device
        self.batch_tokens = batch_tokens
        on_cpu = self._device.type == "cpu"
        self._pass_tokens = min(batch_tokens, _CPU_TOKENS) if on_cpu else batch_tokens
        self.max_length = int(base.config.max_position_embeddings)
        self.vocab_size = int(base.get_output_embeddings().weight.shape[0])
        if not self._head_makes_the_logits(base):
            # Some models change their logits after the head (soft caps, scales): ask the whole.
            self._decoder, self._head = base, nn.Identity()

    def fits(self, request: Request) -> bool:
        """Whether the whole request can be seen by the model at once."""
        return len(request.context) + len(request.continuation) - 1 <= self.max_length

    @torch.inference_mode()
    def _head_makes_the_logits(self, base: nn.Module) -> bool:
        ids = torch.tensor([[0, 1, 0]], device=self._device)
        logits = self._head(self._decoder(input_ids=ids, use_cache=False)[0])
        return torch.allclose(logits, base(input_ids=ids, use_cache=False)[0], atol=1e-2)

    @torch.inference_mode()
    def score(
        self, requests: Sequence[Request], heard: Callable[[float], None] = lambda share: None
    ) -> Floats:
        """Log-likelihood (nats) of each continuation after its context.

        Rows are sorted by length and padded on the right: attention is causal, so padding cannot
        reach a scored position. Only scored positions go through the head, and log-softmax is in
        float32 whatever the model's dtype.

        Args:
            requests: none may have an empty context, and each must fit (see `fits`).
            heard: called with the share of the requests that is done, after each batch.

        Returns:
            float64 array, shape (len(requests),).
        """
        result, done = np.zeros(len(requests)), 0
        for rows in self._rows(requests):
            rows.sort(key=lambda row: (-len(row), row.requests))
            start = 0
            while start < len(rows):
                count = max(1, self._pass_tokens // len(rows[start]))
                batch = rows[start : start + count]
                self._score_batch(batch, requests, result)
                start += count
                done += sum(len(row.requests) for row in batch)
                heard(done / len(requests))
        return result

    def _rows(self, requests: Sequence[Request]) -> tuple[list[_Row], list[_Row]]:
        """Rows of one branch, which need no mask, and rows of several."""
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            assert request.context, "a continuation needs something before it"
            assert self.fits(request), "callers count and leave out what does not fit"
            groups[request.context].append(index)
        rows: list[_Row] = []
        for context, members in groups.items():
            row = _Row(context)
            for index in members:
                branch = requests[index].continuation[:-1]
                full = len(row) + len(branch) > min(self.max_length, self._pass_tokens)
                # Attention over the other branches is wasted: a short context is not worth it.
                if row.requests and (full or 2 * len(context) < len(branch)):
                    rows.append(row)
                    row = _Row(context)
                row.requests.append(index)
                row.branches.append(branch)
            rows.append(row)
        single = [row for row in rows if len(row.requests) == 1]
        return single, [row for row in rows if len(row.requests) > 1]

    def _score_batch(self, rows: list[_Row], requests: Sequence[Request], result: Floats) -> None:
        """Write the scores of the rows' requests into `result`."""
        width = max(map(len, rows))
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        positions = torch.arange(width).repeat(len(rows), 1)
        # 0 in contexts and padding, else the number of the branch.
        branch_of = torch.zeros_like(ids)
        scored: list[int] = []
        targets: list[int] = []
        owners: list[int] = []
        for number, row in enumerate(rows):
            end = len(row.context)
            ids[number, :end] = torch.tensor(row.context)
            for branch, (index, fed) in enumerate(zip(row.requests, row.branches, strict=True), 1):
                start, end = end, end + len(fed)
                ids[number, start:end] = torch.tensor(fed, dtype=torch.long)
                positions[number, start:end] = len(row.context) + torch.arange(len(fed))
                branch_of[number, start:end] = branch
                # What follows the context is predicted at its end, the rest inside the branch.
                before = (len(row.context) - 1, *range(start, end))
                continuation = requests[index].continuation
                scored.extend(number * width + at for at in before[: len(continuation)])
                targets.extend(continuation)
                owners.extend([index] * len(continuation))
        hidden = self._hidden(ids, positions, branch_of)[
            torch.tensor(scored, dtype=torch.long, device=self._device)
        ]
        step = max(1, _LOGITS // self.vocab_size)
        for start in range(0, len(scored), step):
            logits = self._head(hidden[start : start + step]).float()
            target = torch.tensor(targets[start : start + step], device=self._device)
            logprob = -nn.functional.cross_entropy(logits, target, reduction="none")
            np.add.at(result, owners[start : start + step], logprob.double().cpu().numpy())

    def _hidden(
        self, ids: torch.Tensor, positions: torch.Tensor, branch_of: torch.Tensor
    ) -> torch.Tensor:
        """Last hidden states, shape (rows * width, hidden); a branch sees the context and itself.

        Args:
            ids: shape (rows, width), as the others.
            positions: place of each id in its own request.
            branch_of: 0 in the context, else the branch.
        """
        inputs = {"input_ids": ids.to(self._device), "use_cache": False}
        if branch_of.any():
            last = branch_of[:, :, None]
            seen = (branch_of[:, None, :] == 0) | (branch_of[:, None, :] == last)
            inputs["attention_mask"] = seen.tril()[:, None].to(self._device)
            inputs["position_ids"] = positions.to(self._device)
        hidden: torch.Tensor = self._decoder(**inputs)[0]
        return hidden.reshape(-1, hidden.shape[-1])
