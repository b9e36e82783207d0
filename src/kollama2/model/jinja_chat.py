"""Chats by a Jinja template: the ids that transformers gives, with labels on what is written.

The ids are those of `apply_chat_template` but in two places: what looks like a control token in a
content stays text, and no token holds both the end of a prompt and the beginning of its answer, so
that a prompt is the exact beginning of what was trained on.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from copy import copy
from datetime import date
from typing import Any

from kollama2.errors import BadData
from kollama2.model.bounded import render
from kollama2.model.chat import IGNORED, ChatEncoder, Encoded, Loss, check_last
from kollama2.model.messages import Message, Tool
from kollama2.model.rendering import BREAK, Rendered, Rendering
from kollama2.model.tokenizer import FENCE, Tokenizer


class JinjaEncoder(ChatEncoder):
    """Encodes by a Jinja template.

    Args:
        tokenizer: of running text.
        plain: the same as transformers reads it.
        stop_ids: what ends generation; the token that ends an answer in the template is one too.
        template: its name; `own` for the folder's.
        source: the Jinja text; None for the folder's.

    Raises:
        BadData: the template cannot write a chat of one question and one answer.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        plain: Any,
        stop_ids: Collection[int],
        template: str,
        source: str | None = None,
    ) -> None:
        from tokenizers import Tokenizer as Fast

        self.tokenizer, self.template = tokenizer, template
        self._fast = Fast.from_str(plain.backend_tokenizer.to_str())
        self._fast.no_truncation()
        self._fast.no_padding()
        # It moves the places of tokens behind their spaces.
        self._fast.post_processor = None
        start, middle, fence = (self._fast.encode(t).ids for t in ("a", FENCE + "a", FENCE))
        self._fence = "" if middle[len(fence) :] == start else FENCE
        stops = {tokenizer.eos_id, *stop_ids}
        self._rendering = Rendering(plain, tokenizer.special, stops, source)
        self.stop_ids = self._rendering.stop_ids

    def on(self, day: date) -> "JinjaEncoder":
        """See `ChatEncoder.on`."""
        other = copy(self)
        other._rendering = self._rendering.on(day)
        return other

    def prompt(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[int]:
        """See `ChatEncoder.prompt`."""
        check_last(messages, "user", "tool")
        return self._encoded([self._rendering.chat(messages, tools, prompt=True)], "all")[0].ids

    def answer(self, text: str) -> list[int]:
        """See `ChatEncoder.answer`."""
        asked: list[Message] = [{"role": "user", "content": "."}]
        whole = self.encode([*asked, {"role": "assistant", "content": text}])
        said = [i for i, label in zip(whole.ids, whole.labels, strict=True) if label != IGNORED]
        return said[:-1] if said and said[-1] in self.stop_ids else said

    def _answered(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Rendered:
        check_last(messages, "assistant")
        return self._rendering.chat(messages, tools)

    def _encoded(self, chats: Sequence[Rendered], loss: Loss) -> list[Encoded]:
        parts = [
            self._fence * (number > 0) + part
            for one in chats
            for number, part in enumerate(one.text.split(BREAK))
        ]
        # One list of places at a time: together they would be many times the ids.
        pieces = iter(self._fast.encode_batch(parts, add_special_tokens=False))
        return [self._labelled(one, pieces, loss) for one in chats]

    def _labelled(self, one: Rendered, pieces: Iterator[Any], loss: Loss) -> Encoded:
        """A rendered chat out of its encoded parts: ids, and labels where the assistant speaks."""
        ids, spans = self._joined(one.text, pieces)
        labels = list(ids) if loss == "all" else [IGNORED] * len(ids)
        if ids and ids[0] == self.tokenizer.bos_id:
            labels[0] = IGNORED
        ends = list[int]()
        for (start, end), learned in zip(one.answers, one.learned, strict=True):
            first, last = bisect_left(spans, (start,)), bisect_left(spans, (end,))
            labels[first:last] = ids[first:last] if learned else [IGNORED] * (last - first)
            ends.append(last)
        return Encoded(ids, labels, tuple(ends))

    def _joined(self, text: str, pieces: Iterator[Any]) -> tuple[list[int], list[tuple[int, ...]]]:
        """The ids of a text out of those of its parts, with the characters each stands for."""
        piece = next(pieces)
        ids: list[int] = piece.ids
        spans: list[tuple[int, ...]] = piece.offsets
        at = text.find(BREAK)
        while at >= 0:
            piece, shift = next(pieces), at + 1 - len(self._fence)
            places = piece.offsets
            own = bisect_left(places, (len(self._fence),))
            ids += piece.ids[own:]
            spans += [(shift + start, shift + end) for start, end in places[own:]]
            at = text.find(BREAK, at + 1)
        return ids, spans


def writes_llama2(plain: Any) -> bool:
    """Whether a tokenizer's own chat template writes the text of Llama 2's."""
    system = {"role": "system", "content": "S"}
    chat = [{"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}]
    bos, eos = plain.bos_token, plain.eos_token
    expected = {
        f"{bos}[INST]U[/INST]A{eos}": chat,
        f"{bos}[INST]<<SYS>>S<</SYS>>U[/INST]A{eos}": [system, *chat],
    }
    try:
        return all(
            re.sub(r"\s", "", render(plain, turns)) == text for text, turns in expected.items()
        )
    except BadData:
        return False
