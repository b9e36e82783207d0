"""Chats to ids: the one encoder of training, evaluation and inference.

Structure (BOS, EOS) is put in as ids and content is encoded as content, so that no text can forge
a control token and a prompt is always the exact beginning of the sequence that was trained on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from kollama2.data.forms import Example, Message
from kollama2.data.jinja import jinja_template
from kollama2.data.templates import TEMPLATES, Template
from kollama2.data.tokenizer import Tokenizer
from kollama2.errors import BadData, BadUsage

__all__ = ["IGNORED", "ChatEncoder", "Encoded", "Loss", "jinja_template"]

IGNORED = -100
Loss = Literal["assistant", "all"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Ids and labels of one sequence; `labels[i]` is `ids[i]`, or -100 where nothing is learned.

    `ends` holds the position after each answer, where the sequence may be cut.
    """

    ids: list[int]
    labels: list[int]
    ends: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Segment:
    """A piece of a sequence: text, or a control token given by its id."""

    text: str = ""
    id: int | None = None
    continuing: bool = False
    learned: bool = False


class ChatEncoder:
    """Encodes chats by a template, and plain text as BOS text EOS."""

    def __init__(self, tokenizer: Tokenizer, template: str) -> None:
        if template not in TEMPLATES:
            raise BadUsage(f"there is no template {template!r}; there are {', '.join(TEMPLATES)}")
        self.tokenizer = tokenizer
        self.template: Template = TEMPLATES[template]

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """The ids at which generation ends."""
        return (self.tokenizer.eos_id,)

    def encode(self, messages: Sequence[Message], loss: Loss = "assistant") -> Encoded:
        """Encode a chat that ends with an answer.

        Args:
            messages: an optional system message, then user and assistant in turn.
            loss: learn the answers with their EOS, or everything but BOS.

        Raises:
            BadData: the roles are not in turn or the last message is not an answer.
        """
        return self._assemble([self._chat(messages)], loss)[0]

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Encode a chat that ends with the user, up to where the answer begins."""
        return self._assemble([self._chat(messages, prompt=True)], "all")[0].ids

    def text(self, text: str) -> Encoded:
        """Encode running text: BOS, the text, EOS; all but BOS is learned."""
        return self._assemble([self._document(text)], "all")[0]

    def encode_batch(self, examples: Iterable[Example], loss: Loss = "assistant") -> list[Encoded]:
        """Encode many examples at once, which is several times faster than one by one."""
        return self._assemble([self._example(example) for example in examples], loss)

    def is_chat(self, example: Example) -> bool:
        """Whether an example is encoded as a chat, not as running text."""
        return bool(example.messages) and not (self.template.document and example.text)

    def contents(self, example: Example) -> list[str]:
        """Return the texts of an example that the template puts in."""
        return example.contents() if self.is_chat(example) else [example.text]

    def _example(self, example: Example) -> list[_Segment]:
        if self.is_chat(example):
            return self._chat(example.messages)
        return self._document(example.text)

    def _document(self, text: str) -> list[_Segment]:
        return [*self._bos(), _Segment(text, learned=True), self._eos()]

    def _bos(self) -> list[_Segment]:
        return [] if self.tokenizer.bos_id is None else [_Segment(id=self.tokenizer.bos_id)]

    def _eos(self) -> _Segment:
        return _Segment(id=self.tokenizer.eos_id, learned=True)

    def _chat(self, messages: Sequence[Message], *, prompt: bool = False) -> list[_Segment]:
        turns = list(messages)
        system = turns.pop(0)["content"] if turns and turns[0]["role"] == "system" else None
        _check_turns(turns, prompt)
        template = self.template
        segments = list[_Segment]()
        for number, turn in enumerate(turns):
            if turn["role"] == "user":
                if not number or template.bos_each_turn:
                    segments += self._bos()
                segments.append(_Segment(template.ask(turn, system, first=not number)))
            else:
                answer = template.answer.format(content=turn["content"].strip())
                segments.append(_Segment(answer, continuing=True, learned=True))
                segments.append(self._eos())
        return segments

    def _assemble(self, sequences: list[list[_Segment]], loss: Loss) -> list[Encoded]:
        texts = [one for segments in sequences for one in segments if one.id is None]
        encoded = iter(
            self.tokenizer.encode_batch(
                [one.text for one in texts], [one.continuing for one in texts]
            )
        )
        found = []
        for segments in sequences:
            ids, labels, ends = list[int](), list[int](), list[int]()
            for one in segments:
                piece = next(encoded) if one.id is None else [one.id]
                learned = one.learned or (loss == "all" and one.id != self.tokenizer.bos_id)
                ids += piece
                labels += piece if learned else [IGNORED] * len(piece)
                if one.id == self.tokenizer.eos_id:
                    ends.append(len(ids))
            found.append(Encoded(ids, labels, tuple(ends)))
        return found


def _check_turns(turns: Sequence[Message], prompt: bool) -> None:
    expected = ("user", "assistant")
    roles = [turn["role"] for turn in turns]
    if roles != [expected[i % 2] for i in range(len(roles))]:
        raise BadData(
            f"the turns of a chat are {', '.join(roles)}; they must be user, assistant, user, … "
            "after an optional system message"
        )
    if not roles or roles[-1] != expected[0 if prompt else 1]:
        last = "the user" if prompt else "the assistant"
        raise BadData(f"the last message must be from {last}, got {roles[-1] if roles else 'none'}")
