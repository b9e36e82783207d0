"""Generation: prompts of different lengths in one batch, token by token, with a fixed KV cache.

Rows are filled from the left and each continues where its own prompt ends, so no padding is ever
attended to and a row's greedy text does not depend on the rows beside it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kollama2.errors import BadUsage
from kollama2.llama.cache import FixedCache
from kollama2.llama.direct import direct
from kollama2.llama.faults import Unmet
from kollama2.llama.sampling import choose, log_probability

BASE = "__base__"
"""What PEFT calls the model without any adapter, for a row of a batch."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How tokens are chosen and when a text ends.

    Attributes:
        max_gen_len: most tokens after a row's prompt.
        temperature: 0 or less is greedy.
        top_p: mass of the nucleus.
        logprobs: compute log-probabilities of the tokens.
        stop_ids: end a row; never part of it.
    """

    max_gen_len: int
    temperature: float = 0.0
    top_p: float = 0.9
    logprobs: bool = False
    stop_ids: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One new token for each row; None where the row has ended."""

    tokens: list[int | None]
    logprobs: list[float]


class Decoder:
    """A model with its KV cache.

    Args:
        model: a transformers causal language model with full attention in every layer.
        rows: the largest batch.
        length: the longest sequence in tokens, prompt and answer together.
        agree: turns each process's choice of tokens into the common one (model parallelism).

    Raises:
        BadUsage: the model was not made for such a length, or attends by a window.
    """

    def __init__(
        self,
        model: Any,
        rows: int,
        length: int,
        agree: Callable[[torch.Tensor], torch.Tensor] = lambda tokens: tokens,
    ) -> None:
        config = model.config.get_text_config()
        limit = getattr(config, "max_position_embeddings", None)
        if limit is not None and length > limit:
            raise BadUsage(f"max_seq_len is {length}, but the model was made for {limit} tokens")
        kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
        if kinds != {"full_attention"} or getattr(config, "sliding_window", None):
            raise BadUsage(
                f"a {config.model_type} attends by a window or without keys; the runtime holds "
                "models with full attention, such as Llama"
            )
        if rows < 1 or length < 1:
            raise BadUsage(
                f"max_batch_size is {rows} and max_seq_len {length}; both must be at least 1"
            )
        self.model, self.rows, self.length, self.agree = model, rows, length, agree
        self.vocab = int(config.vocab_size)
        self.cache = FixedCache(config.num_hidden_layers, rows, length)
        self.direct = direct(model, self.cache)
        self._held: list[int] = []  # ids of the first row whose keys the cache holds

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        device: torch.device = self.model.device
        return device

    def check(self, prompts: Sequence[Sequence[int]]) -> None:
        """Refuse what cannot be computed, before anything is.

        Raises:
            Unmet: no prompts, too many, an empty one, one that is too long or holds other ids.
        """
        if not prompts:
            raise Unmet("there are no prompts; give at least one")
        if len(prompts) > self.rows:
            raise Unmet(f"({len(prompts)}, {self.rows}): more prompts than max_batch_size")
        for index, prompt in enumerate(prompts):
            if not prompt:
                raise Unmet(f"prompt {index} has no tokens; give it at least BOS")
            if len(prompt) > self.length:
                raise Unmet(
                    f"prompt {index} has {len(prompt)} tokens, max_seq_len is {self.length}; "
                    "shorten it or raise max_seq_len"
                )
            if min(prompt) < 0 or max(prompt) >= self.vocab:
                raise Unmet(f"prompt {index} holds ids outside of the model's {self.vocab}")

    @torch.inference_mode()
    def read(
        self,
        prompts: Sequence[Sequence[int]],
        every: bool = False,
        kept: int = 0,
        first: int = 0,
        adapters: Sequence[str] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute the prompts.

        Args:
            prompts: ids, checked.
            every: compute the logits at every position, not only at the last.
            kept: tokens of a single prompt that are not computed again; see `known`.
            first: the row of the cache for the first prompt; those before it stay as they are.
            adapters: of each prompt, where the model has several; `BASE` is none.

        Returns:
            (rows, vocabulary) logits after each prompt, and (rows, longest, vocabulary) or None.
        """
        lengths = [len(prompt) - kept for prompt in prompts]
        longest = max(lengths)
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, : lengths[row]] = torch.tensor(list(prompt[kept:]))
        ends = torch.tensor(lengths, device=self.device) - 1
        needed, place = torch.unique(ends, return_inverse=True)
        self.cache.at_columns(kept, kept + longest, first)
        if first == 0:
            del self._held[kept:]
        logits = self._forward(ids.to(self.device), None, None, 0 if every else needed, adapters)
        if first == 0:
            self._held = list(prompts[0])
        rows = torch.arange(len(prompts), device=self.device)
        last = logits[rows, ends if every else place]
        return last, logits if every else None

    @torch.inference_mode()
    def move(self, source: int, target: int, length: int) -> None:
        """Let a row of the cache take the place of another that has ended.

        Args:
            source: the row that goes on.
            target: the one that has ended.
            length: how many positions of the row are known.
        """
        self.cache.move(source, target, length)
        if target == 0:
            self._held.clear()

    def known(self, prompt: Sequence[int]) -> int:
        """How many tokens of a single prompt the cache holds from the text before it.

        One fewer than all where it holds all, since the last one's logits are needed.
        """
        same = 0
        for ours, theirs in zip(self._held, prompt[:-1], strict=False):
            if ours != theirs:
                break
            same += 1
        return same

    @torch.inference_mode()
    def step(
        self,
        tokens: torch.Tensor,
        positions: Sequence[int],
        adapters: Sequence[str] | None = None,
    ) -> torch.Tensor:
        """Compute one token of each row.

        Args:
            tokens: (rows,) ids.
            positions: of these tokens in their rows.
            adapters: of each row, where the model has several; `BASE` is none.

        Returns:
            (rows, vocabulary) logits of the next tokens.
        """
        del self._held[positions[0] :]
        logits = self._stepped(tokens, positions, adapters)
        if len(self._held) == positions[0]:
            self._held.append(int(tokens[0]))
        return logits

    def _stepped(
        self, tokens: torch.Tensor, positions: Sequence[int], adapters: Sequence[str] | None
    ) -> torch.Tensor:
        used = max(positions) + 1
        own = torch.tensor(positions, device=self.device)
        together = min(positions) + 1 == used
        if together:
            self.cache.at_columns(used - 1, used)
        else:
            self.cache.at_positions(own, used)
        if self.direct is not None and set(adapters or ()) <= {BASE}:
            return self.direct(tokens, own, used)
        ids = tokens[:, None]
        if together:
            return self._forward(ids, own[:1, None], None, 1, adapters)[:, -1]
        seen = torch.arange(used, device=self.device) <= own[:, None]
        return self._forward(ids, own[:, None], seen[:, None, None], 1, adapters)[:, -1]

    def _forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor | None,
        mask: torch.Tensor | None,
        keep: int | torch.Tensor,
        adapters: Sequence[str] | None,
    ) -> torch.Tensor:
        mixed = {} if adapters is None else {"adapter_names": list(adapters)}
        output = self.model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=keep,
            **mixed,
        )
        logits: torch.Tensor = output.logits
        return logits


def read_logprobs(every: torch.Tensor, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
    """Log-probabilities of the prompts' own tokens; 0 for the first, which nothing predicts.

    Args:
        every: (rows, longest, vocabulary) logits of `Decoder.read`.
        prompts: the ids that were read.
    """
    found = []
    for row, prompt in enumerate(prompts):
        after = torch.tensor(list(prompt[1:]), device=every.device, dtype=torch.long)
        values = log_probability(every[row, : len(prompt) - 1], after)
        found.append([0.0, *values.tolist()])
    return found


def stream(
    decoder: Decoder, logits: torch.Tensor, lengths: Sequence[int], settings: Settings
) -> Iterator[Step]:
    """Generate after prompts that were read, until every row has ended.

    Args:
        decoder: what read the prompts.
        logits: (rows, vocabulary) after each prompt.
        lengths: of the prompts, in tokens.
        settings: how tokens are chosen.

    Yields:
        One step at a time; a row ends at a stop id, at `max_gen_len` or where the cache is full.
    """
    room = [min(settings.max_gen_len, decoder.length - length) for length in lengths]
    positions = list(lengths)
    alive = [left > 0 for left in room]
    while any(alive):
        tokens = decoder.agree(choose(logits, settings.temperature, settings.top_p))
        chosen = tokens.tolist()
        logprobs = log_probability(logits, tokens).tolist() if settings.logprobs else []
        for row, token in enumerate(chosen):
            alive[row] = alive[row] and token not in settings.stop_ids
        if not any(alive):
            return
        yield Step(
            [token if on else None for token, on in zip(chosen, alive, strict=True)], logprobs
        )
        for row, length in enumerate(lengths):
            alive[row] = alive[row] and positions[row] + 1 < length + room[row]
        if any(alive):
            logits = decoder.step(tokens, positions)
            # A row that has ended is computed on in its place until the others have.
            positions = [min(at + 1, decoder.length - 1) for at in positions]
