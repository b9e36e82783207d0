"""Models of every family, as they write: transformers' own `generate`, one token after another."""

from collections.abc import Iterator, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.generation.logits_process import (
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
)

from kollama2.errors import BadData, BadUsage
from kollama2.model.chat import ChatEncoder

_RULES = {
    "repetition_penalty": RepetitionPenaltyLogitsProcessor,
    "no_repeat_ngram_size": NoRepeatNGramLogitsProcessor,
    "bad_words_ids": NoBadWordsLogitsProcessor,
    "sequence_bias": SequenceBiasLogitsProcessor,
    "suppress_tokens": SuppressTokensLogitsProcessor,
    "begin_suppress_tokens": partial(SuppressTokensAtBeginLogitsProcessor, begin_index=0),
}
_ENDLESS = 1 << 20  # a recurrent model was made for no length, and nothing is set aside for it


def rules_of(model: Any) -> dict[str, Any]:
    """What a model's generation configuration says that changes its logits.

    Raises:
        BadData: it says what cannot be, such as a negative penalty.
    """
    said = {name: getattr(model.generation_config, name, None) for name in _RULES}
    rules = {name: value for name, value in said.items() if value not in (None, 0, 1, [])}
    for name, value in rules.items():
        try:
            _RULES[name](value)
        except (ValueError, TypeError) as error:
            folder = getattr(model.config, "name_or_path", "") or "the model"
            raise BadData(
                f"{folder}: {name} in generation_config.json is {value!r}: {error}"
            ) from error
    return rules


class Generator:
    """A model of any family with its encoder; its caches, windows and states are its own affair.

    Rules of the model's generation configuration hold as in transformers (a repetition penalty);
    how tokens are drawn is said by the caller alone.

    Args:
        model: a transformers or peft causal language model.
        encoder: of its chats.
        length: most tokens of a prompt with its answer; None for what the model was made for.

    Attributes:
        encoder: of its chats.
        length: most tokens of a prompt with its answer.
        model: the transformers model.
        rules: what its generation configuration says that changes its logits.

    Raises:
        BadUsage: the model was not made for such a length.
    """

    def __init__(self, model: Any, encoder: ChatEncoder, length: int | None = None) -> None:
        self.model: Any = getattr(model, "get_base_model", lambda: model)()
        made_for = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if length is not None and made_for is not None and length > made_for:
            raise BadUsage(
                f"a context of {length} tokens, but the model was made for {made_for}; ask for less"
            )
        self.encoder = encoder
        self.length: int = length or made_for or _ENDLESS
        self.rules = rules_of(self.model)
        self.model.generation_config = GenerationConfig()  # what it says of sampling is not ours

    def stream(
        self,
        prompt_tokens: Sequence[int],
        max_gen_len: int | None = None,
        temperature: float = 0.6,
        top_p: float = 0.9,
    ) -> Iterator[int]:
        """Yield the ids of one continuation as they are chosen, without the one that ends it.

        Args:
            prompt_tokens: what is continued.
            max_gen_len: most new tokens; None for what fits.
            temperature: 0 or less is greedy.
            top_p: mass of the nucleus that is sampled from.

        Raises:
            BadUsage: there are no tokens, or more than `length`.
        """
        if not 0 < len(prompt_tokens) <= self.length:
            raise BadUsage(
                f"the prompt has {len(prompt_tokens)} tokens and the context {self.length}; "
                + ("shorten it" if prompt_tokens else "say something")
            )
        room = self.length - len(prompt_tokens)
        most = room if max_gen_len is None else min(room, max_gen_len)
        if most < 1:
            return
        stops = self.encoder.stop_ids
        drawn = {"temperature": temperature, "top_p": top_p, "top_k": 0} if temperature > 0 else {}
        settings = GenerationConfig(
            max_new_tokens=most,
            do_sample=temperature > 0,
            eos_token_id=list(stops),
            pad_token_id=stops[0],
            **drawn,
            **self.rules,
        )
        for token in _generated(self.model, prompt_tokens, settings):
            if token in stops:
                return
            yield token


class _Stopped(Exception):  # it tells no error
    """Nobody listens any more."""


class _Streamer:
    """What `generate` gives its tokens to, the prompt first."""

    def __init__(self) -> None:
        self.said: SimpleQueue[int | BaseException | None] = SimpleQueue()
        self.stopped = Event()
        self._prompt = True

    def put(self, value: torch.Tensor) -> None:
        if self.stopped.is_set():
            raise _Stopped
        if not self._prompt:
            self.said.put(int(value))
        self._prompt = False

    def end(self) -> None:
        self.said.put(None)


def _generated(model: Any, prompt: Sequence[int], settings: GenerationConfig) -> Iterator[int]:
    """The tokens of `generate`, which has a thread of its own because it calls and does not yield.

    Whoever stops listening ends it at its next token.
    """
    ids = torch.tensor([list(prompt)], device=model.device)
    streamer = _Streamer()

    def work() -> None:
        try:
            model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                generation_config=settings,
                streamer=streamer,
            )
        except BaseException as error:
            streamer.said.put(error)

    thread = Thread(target=work, name="generate")
    thread.start()
    try:
        while (token := streamer.said.get()) is not None:
            if isinstance(token, BaseException):
                raise token
            yield token
    finally:
        streamer.stopped.set()
        thread.join()
