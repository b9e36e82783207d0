"""Log-likelihoods of continuations under a causal language model, exact and fast."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

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

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Ids of a chat, BOS included, that end where the assistant's answer begins."""


class Request(NamedTuple):
    """Ids to be scored and the ids before them."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]


class Scorer:
    """Scores requests with one model; rows are computed once however many requests share them."""

    def __init__(self, model: nn.Module, *, batch_tokens: int = 2048) -> None:
        """`batch_tokens`: padded positions in one forward pass; small ones are fastest on CPU."""
        unwrapped = getattr(model, "get_base_model", lambda: model)
        base: Any = unwrapped()
        self._decoder = base.get_decoder()
        self._head = base.get_output_embeddings()
        self._device = next(model.parameters()).device
        self.batch_tokens = batch_tokens
        self.max_length = int(base.config.max_position_embeddings)
        self.vocab_size = int(self._head.weight.shape[0])

    def fits(self, request: Request) -> bool:
        """Whether the whole request can be seen by the model at once."""
        return len(request.context) + len(request.continuation) - 1 <= self.max_length

    @torch.inference_mode()
    def score(
        self, requests: Sequence[Request], done: Callable[[int], None] = lambda tokens: None
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Log-likelihood (nats) of each continuation after its context.

        Rows are sorted by length and padded on the right: attention is causal, so padding cannot
        reach a scored position and needs no mask. Only scored positions go through the head, and
        log-softmax is in float32 whatever the model's dtype.

        Args:
            requests: none may have an empty context, and each must fit (see `fits`).
            done: called with the number of positions after each batch.

        Returns:
            float64 array, shape (len(requests),).
        """
        rows: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            assert request.context, "a continuation needs something before it"
            assert self.fits(request), "callers count and leave out what does not fit"
            rows[request.context + request.continuation[:-1]].append(index)
        result = np.zeros(len(requests))
        for batch in self._batches(list(rows)):
            width = max(map(len, batch))
            padded = torch.zeros(len(batch), width, dtype=torch.long)
            where: list[tuple[int, int, int]] = []
            for number, row in enumerate(batch):
                padded[number, : len(row)] = torch.tensor(row)
                where.extend(
                    (index, number, len(row) - len(requests[index].continuation))
                    for index in rows[row]
                )
            self._score_batch(padded, where, requests, result)
            done(padded.numel())
        return result

    def _batches(self, rows: list[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
        """Rows, longest first, in batches of at most `batch_tokens` padded positions."""
        rows.sort(key=lambda row: (-len(row), row))
        start = 0
        while start < len(rows):
            count = max(1, self.batch_tokens // len(rows[start]))
            yield rows[start : start + count]
            start += count

    def _score_batch(
        self,
        padded: torch.Tensor,
        where: list[tuple[int, int, int]],
        requests: Sequence[Request],
        result: np.ndarray[tuple[int], np.dtype[np.float64]],
    ) -> None:
        """Add to `result` what the requests at `where` = (index, row, last unscored) get."""
        hidden = self._decoder(input_ids=padded.to(self._device), use_cache=False)[0]
        flat: list[int] = []
        targets: list[int] = []
        owners: list[int] = []
        for index, row, last in where:
            continuation = requests[index].continuation
            flat.extend(row * padded.shape[1] + last + k for k in range(len(continuation)))
            targets.extend(continuation)
            owners.extend([index] * len(continuation))
        chosen = hidden.reshape(-1, hidden.shape[-1])[torch.tensor(flat, device=self._device)]
        step = max(1, _LOGITS // self.vocab_size)
        for start in range(0, len(flat), step):
            logits = self._head(chosen[start : start + step]).float()
            target = torch.tensor(targets[start : start + step], device=self._device)
            logprob = -nn.functional.cross_entropy(logits, target, reduction="none")
            np.add.at(result, owners[start : start + step], logprob.double().cpu().numpy())
