"""Log-likelihoods of continuations under a causal language model, exact and fast.

What requests share is computed once: a prefix by a cache of keys and values that all rows of a
batch see, a context by a tree mask, under which the continuations branch off it.
"""

import contextlib
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from torch import nn
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from kollama2.evaluation.sharing import Ids, Request, Tree, grouped

__all__ = ["Encoder", "Floats", "Request", "Scorer"]

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

# Larger passes are slower on CPU: their activations leave the caches.
_CPU_TOKENS = 1024
# Logits kept at a time: 2**24 floats are 64 MiB.
_LOGITS = 2**24
_ENDLESS = 1 << 20
# Keys of a prefix that a batch sees, for each token that it feeds: bounds their copies.
_SEEN = 16
# A row shorter than this share of the longest one goes into another batch, if that one is large.
_FULL = 0.95


class Encoder(Protocol):
    """Text to ids and back, and a chat's prompt, as one model was taught them."""

    @property
    def first_id(self) -> int:
        """The id that a text follows: BOS, or what ends documents where there is no BOS."""

    @property
    def stop_ids(self) -> Collection[int]:
        """Ids that end an answer."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text's content; never a control id."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; bytes that form no character become U+FFFD."""

    @property
    def lead(self) -> Sequence[int]:
        """Ids between a prompt and any answer that was not thought about: an empty thought."""

    def answer(self, text: str) -> list[int]:
        """Ids of an answer as it follows a prompt and the lead, without what ends it."""

    def prompt(self, messages: Sequence[Any]) -> list[int]:
        """Ids of a chat ({"role", "content"} each), BOS included, up to where the answer begins."""


class _Prefix(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values of a prefix, which every row sees and none changes."""

    def __init__(self, layer: DynamicLayer) -> None:
        super().__init__()
        self.keys, self.values, self.is_initialized = layer.keys, layer.values, True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The prefix and then the rows' own; shapes (rows, heads, tokens, head size)."""
        rows = len(key_states)
        return (
            torch.cat([self.keys.expand(rows, -1, -1, -1), key_states], dim=-2),
            torch.cat([self.values.expand(rows, -1, -1, -1), value_states], dim=-2),
        )


class _Filled(Exception):  # it tells no error
    """The last layer has its keys and values: nothing behind them is needed of a prefix."""


class _LastLayer(DynamicLayer):  # type: ignore[misc]
    """The cache of the last layer, which ends the forward pass as soon as it is filled."""

    def update(self, *states: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep them.

        Raises:
            _Filled: always.
        """
        super().update(*states, **kwargs)
        raise _Filled


class Scorer:
    """Scores requests with one model; a context that several requests share is computed once.

    Attributes:
        shares: whether the model's attention allows it, found by trying; if not, each request is
            computed alone.
        computed: tokens that went through the model so far, padding included.
    """

    def __init__(self, model: nn.Module, *, batch_tokens: int = 2048) -> None:
        """`batch_tokens`: most padded positions in one forward pass."""
        unwrapped = getattr(model, "get_base_model", lambda: model)
        base: Any = unwrapped()
        config = base.config.get_text_config()
        self._decoder: Any = base.get_decoder()
        self._head: nn.Module = base.get_output_embeddings()
        self._device = next(model.parameters()).device
        self.batch_tokens = batch_tokens
        on_cpu = self._device.type == "cpu"
        self._pass_tokens = min(batch_tokens, _CPU_TOKENS) if on_cpu else batch_tokens
        # A recurrent model was made for no length.
        self.max_length = int(getattr(config, "max_position_embeddings", None) or _ENDLESS)
        self.vocab_size = int(base.get_output_embeddings().weight.shape[0])
        self.computed = 0
        if not self._head_makes_the_logits(base):
            # Some models change their logits after the head (soft caps, scales): ask the whole.
            self._decoder, self._head = base, nn.Identity()
        # A mask of our own would override a sliding window that is shorter than the text.
        self._window = int(getattr(config, "sliding_window", None) or self.max_length)
        self._layers = 0
        self.shares = self._can_share()

    def fits(self, request: Request) -> bool:
        """Whether the whole request can be seen by the model at once."""
        return len(request.context) + len(request.continuation) - 1 <= self.max_length

    @torch.inference_mode()
    def _head_makes_the_logits(self, base: nn.Module) -> bool:
        ids = torch.tensor([[0, 1, 0]], device=self._device)
        logits = self._head(self._decoder(input_ids=ids, use_cache=False)[0])
        # The same arithmetic, so that even a soft cap of small logits shows.
        return torch.allclose(logits, base(input_ids=ids, use_cache=False)[0], rtol=1e-5, atol=1e-6)

    @torch.inference_mode()
    def _can_share(self) -> bool:
        """Whether a prefix and branches give the hidden states that each request has alone."""
        prefix, row, branches = (1, 2, 3, 4), Tree((5, 6)), ((7, 8, 0), (9, 10, 0))
        for number, branch in enumerate(branches):
            row.add(number, branch)
        try:
            cache = DynamicCache()
            ids = torch.tensor([prefix], device=self._device)
            self._decoder(input_ids=ids, past_key_values=cache, use_cache=True)
            self._layers = len(cache)
            shared = self._hidden([row], prefix, self._prefilled(prefix))
            alone = [
                self._hidden([Tree((*prefix, *row.context, *branch[:-1]))], (), None)[-2:]
                for branch in branches
            ]
        except (TypeError, ValueError, RuntimeError, AttributeError, LookupError):
            return False  # a model with another form of cache, mask or position, or with states
        single = shared.dtype == torch.float32
        scale = float(shared.float().abs().max())
        difference = (shared[-4:].float() - torch.cat(alone).float()).abs().max()
        return float(difference) <= (1e-4 if single else 5e-2) * max(scale, 1e-6)

    def score(
        self, requests: Sequence[Request], heard: Callable[[float], None] = lambda share: None
    ) -> Floats:
        """Log-likelihood (nats) of each continuation; as `score_greedy` without its second half."""
        return self.score_greedy(requests, heard)[0]

    @torch.inference_mode()
    def score_greedy(
        self, requests: Sequence[Request], heard: Callable[[float], None] = lambda share: None
    ) -> tuple[Floats, Bools]:
        """Log-likelihood (nats) of each continuation, and whether greedy decoding would say it.

        Rows are sorted by length and padded on the right: attention is causal, so padding cannot
        reach a scored position. Only scored positions go through the head, and log-softmax is in
        float32 whatever the model's dtype.

        Args:
            requests: none may have an empty half, and each must fit (see `fits`).
            heard: called with the share of the requests that is done, after each batch.

        Returns:
            float64 and bool arrays, shape (len(requests),).
        """
        for request in requests:
            assert request.context, "a continuation needs something before it"
            assert request.continuation, "nothing to score would score as certain"
            assert self.fits(request), "callers count and leave out what does not fit"
        result = np.zeros(len(requests)), np.ones(len(requests), dtype=bool)
        done = 0
        longest = max((len(one.context) + len(one.continuation) for one in requests), default=0)
        shared = self.shares and longest <= self._window + 1
        for prefix, rows in grouped(requests, row_tokens=self._pass_tokens, shared=shared):
            past = self._prefilled(prefix) if prefix else None
            for batch in self._batches(rows, len(prefix)):
                self._score_batch(batch, requests, prefix, past, result)
                done += sum(len(row.requests) for row in batch)
                heard(done / len(requests))
        return result

    def _batches(self, rows: Sequence[Tree], seen: int) -> list[list[Tree]]:
        """Rows of similar length together; those of one branch, which need no mask, apart."""
        batches = list[list[Tree]]()
        for kind in (
            [row for row in rows if len(row.requests) == 1],
            [row for row in rows if len(row.requests) > 1],
        ):
            kind.sort(key=lambda row: (-len(row), row.requests))
            batch = list[Tree]()
            for row in kind:
                width = len((batch or [row])[0])
                most = min(self._pass_tokens // width, _SEEN * self._pass_tokens // (seen + width))
                # Padding costs as much as text, and a large pass is hardly faster than a small one.
                padded = len(row) < _FULL * width and len(batch) * width >= self._pass_tokens // 4
                if batch and (len(batch) >= most or padded):
                    batches.append(batch)
                    batch = []
                batch.append(row)
            if batch:
                batches.append(batch)
        return batches

    def _prefilled(self, prefix: Ids) -> Cache:
        """Keys and values of a prefix in every layer."""
        cache = Cache(layers=[*(DynamicLayer() for _ in range(self._layers - 1)), _LastLayer()])
        ids = torch.tensor([prefix], device=self._device)
        with contextlib.suppress(_Filled):
            self._decoder(input_ids=ids, past_key_values=cache, use_cache=True)
        self.computed += len(prefix)
        return Cache(layers=[_Prefix(layer) for layer in cache.layers])

    def _score_batch(
        self,
        rows: list[Tree],
        requests: Sequence[Request],
        prefix: Ids,
        past: Cache | None,
        result: tuple[Floats, Bools],
    ) -> None:
        """Write the scores of the rows' requests into `result`."""
        width = max(map(len, rows))
        scored, targets, owners = list[int](), list[int](), list[int]()
        for number, row in enumerate(rows):
            for index, places in zip(row.requests, row.places, strict=True):
                scored.extend(number * width + at for at in places)
                targets.extend(requests[index].continuation)
                owners.extend([index] * len(places))
        hidden = self._hidden(rows, prefix, past)[
            torch.tensor(scored, dtype=torch.long, device=self._device)
        ]
        values, greedy = result
        step = max(1, _LOGITS // self.vocab_size)
        for start in range(0, len(scored), step):
            logits = self._head(hidden[start : start + step]).float()
            target = torch.tensor(targets[start : start + step], device=self._device)
            logprob = -nn.functional.cross_entropy(logits, target, reduction="none")
            same = (logits.argmax(-1) == target).cpu().numpy()
            np.add.at(values, owners[start : start + step], logprob.double().cpu().numpy())
            np.logical_and.at(greedy, owners[start : start + step], same)

    def _hidden(self, rows: Sequence[Tree], prefix: Ids, past: Cache | None) -> torch.Tensor:
        """Last hidden states, shape (rows * width, hidden); an id sees what it follows and itself.

        Args:
            rows: contexts with their trees.
            prefix: what all of them follow.
            past: its keys and values; None for an empty one.
        """
        width, before = max(map(len, rows)), len(prefix)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row.ids)
        self.computed += ids.numel()
        inputs: dict[str, Any] = {"input_ids": ids.to(self._device), "use_cache": past is not None}
        if past is not None or any(len(row.requests) > 1 for row in rows):
            # Padding sees itself only.
            seen = np.eye(width, before + width, before, dtype=bool)[None].repeat(len(rows), axis=0)
            for number, row in enumerate(rows):
                trunk = len(row.context)
                seen[number, :trunk] = np.tri(trunk, before + width, before, dtype=bool)
                for at, parent in enumerate(row.parents, trunk):
                    seen[number, at] |= seen[number, parent]
            mask = torch.from_numpy(seen)
            inputs["attention_mask"] = mask[:, None].to(self._device)
            inputs["position_ids"] = (mask.sum(-1) - 1).to(self._device)
        if past is not None:
            inputs["past_key_values"] = past
        hidden: torch.Tensor = self._decoder(**inputs)[0]
        return hidden.reshape(-1, hidden.shape[-1])
