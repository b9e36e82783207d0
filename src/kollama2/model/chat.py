"""Chats to ids: the one encoder of training, evaluation and inference.

Structure (BOS, EOS) is put in as ids and content is encoded as content, so that no text can forge
a control token and a prompt is always the exact beginning of the sequence that was trained on.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from kollama2.errors import BadData, BadUsage
from kollama2.model.messages import Message, Sample, Tool, contents, is_learned
from kollama2.model.reading import reading
from kollama2.model.templates import FORMS, TEMPLATES, Template, check_template
from kollama2.model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from kollama2.model.folder import ModelFolder

IGNORED = -100
Loss = Literal["assistant", "all"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Ids and labels of one sequence; `labels[i]` is `ids[i]`, or -100 where nothing is learned.

    `ends` holds the position after each answer, where the sequence may be cut. Where the template
    cannot write a chat there are no ids, and `reason` says why.
    """

    ids: list[int]
    labels: list[int]
    ends: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Segment:
    """A piece of a sequence: text, or a control token given by its id.

    `learned` says it of an answer; it is None for what stands around answers.
    """

    text: str = ""
    id: int | None = None
    continuing: bool = False
    learned: bool | None = None


class ChatEncoder(ABC):
    """Encodes chats by a template, and running text as BOS text EOS.

    Attributes:
        tokenizer: of contents.
        template: the template's name; `own` for a folder's Jinja.
        stop_ids: the ids at which generation ends.
    """

    tokenizer: Tokenizer
    template: str
    stop_ids: tuple[int, ...]

    @abstractmethod
    def _answered(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Any:
        """A chat that ends with an answer, as `_encoded` takes it.

        Raises:
            BadData: the template cannot write it.
        """

    @abstractmethod
    def _encoded(self, chats: Sequence[Any], loss: Loss) -> list[Encoded]:
        """Encode many prepared chats at once."""

    def encode(
        self, messages: Sequence[Message], loss: Loss = "assistant", tools: Sequence[Tool] = ()
    ) -> Encoded:
        """Encode a chat that ends with an answer.

        Args:
            messages: an optional system message, then user and assistant in turn.
            loss: learn the answers with what ends them, or everything but BOS; never an answer
                of weight 0.
            tools: functions that the assistant may call, where the template can tell of them.

        Raises:
            BadData: the template cannot write this chat, or the last message is not an answer.
        """
        return self._encoded([self._answered(messages, tools)], loss)[0]

    @abstractmethod
    def prompt(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[int]:
        """Encode a chat that ends with the user, up to where the answer begins.

        Raises:
            BadData: the template cannot write this chat.
        """

    @abstractmethod
    def answer(self, text: str) -> list[int]:
        """The ids of an answer as it stands behind a prompt, without what ends it."""

    def encode_batch(self, samples: Iterable[Sample], loss: Loss = "assistant") -> list[Encoded]:
        """Encode many samples at once, several times faster than one by one.

        One that the template cannot write says why.
        """
        found, chats, texts = list[Encoded](), dict[int, Any](), dict[int, str]()
        for number, sample in enumerate(samples):
            found.append(Encoded([], []))
            try:
                if self.is_chat(sample):
                    chats[number] = self._answered(sample.messages, sample.tools)
                else:
                    texts[number] = sample.text
            except BadData as error:
                found[number] = Encoded([], [], reason=str(error))
        for number, one in zip(chats, self._encoded(list(chats.values()), loss), strict=True):
            found[number] = one
        for number, one in zip(texts, self.texts(list(texts.values())), strict=True):
            found[number] = one
        return found

    def on(self, day: date) -> "ChatEncoder":
        """The same encoder on another day, for templates that write a date."""
        return self

    def text(self, text: str) -> Encoded:
        """Encode running text: BOS, the text, EOS; all but BOS is learned."""
        return self.texts([text])[0]

    def texts(self, texts: Sequence[str]) -> list[Encoded]:
        """Encode many running texts at once."""
        bos, eos = self.tokenizer.bos_id, self.tokenizer.eos_id
        before = [] if bos is None else [bos]
        found = list[Encoded]()
        for ids in self.tokenizer.encode_batch(texts):
            whole = [*before, *ids, eos]
            labels = [*[IGNORED] * len(before), *whole[len(before) :]]
            found.append(Encoded(whole, labels, (len(whole),)))
        return found

    def is_chat(self, sample: Sample) -> bool:
        """Whether a sample is encoded as a chat, not as running text."""
        return bool(sample.messages) and not (self.template == "plain" and sample.text)

    def contents(self, sample: Sample) -> list[str]:
        """Return the texts of a sample that the template puts in."""
        return contents(sample.messages) if self.is_chat(sample) else [sample.text]


def chat_encoder(folder: "ModelFolder", template: str) -> ChatEncoder:
    """The encoder of a model folder by a template's name, `own` for its Jinja.

    Raises:
        BadUsage: there is no such template, or it needs tokens that the tokenizer lacks.
    """
    from kollama2.model.jinja_chat import JinjaEncoder

    check_template(template)
    tokenizer = folder.tokenizer
    if template in TEMPLATES:
        return TextEncoder(tokenizer, template, folder.stop_ids)
    source = None
    if template in FORMS:
        form = FORMS[template]
        source = form.jinja
        if missing := [name for name in form.tokens if name not in tokenizer.special]:
            raise BadUsage(
                f"the template {template} needs the token {missing[0]}, which the tokenizer in "
                f"{tokenizer.folder} does not have; use the model's own template, or one of "
                f"{', '.join(TEMPLATES)}, which need no tokens of their own"
            )
    with reading(folder.tokenizer_path, "holds a tokenizer that cannot write chats"):
        return JinjaEncoder(tokenizer, folder.plain_tokenizer, folder.stop_ids, template, source)


class TextEncoder(ChatEncoder):
    """Encodes by a named template of text between BOS and EOS; see `templates`."""

    def __init__(self, tokenizer: Tokenizer, template: str, stop_ids: Collection[int] = ()) -> None:
        if template not in TEMPLATES:
            raise BadUsage(f"there is no template {template!r}; there are {', '.join(TEMPLATES)}")
        self.tokenizer = tokenizer
        self.template = template
        self.stop_ids = tuple(sorted({tokenizer.eos_id, *stop_ids}))
        self.form: Template = TEMPLATES[template]

    def prompt(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[int]:
        """See `ChatEncoder.prompt`."""
        return self._encoded([self._chat(messages, tools, prompt=True)], "all")[0].ids

    def answer(self, text: str) -> list[int]:
        """See `ChatEncoder.answer`."""
        before, _, _ = self.form.answer.partition("{content}")
        return self.tokenizer.encode_batch([before + text], [True])[0]

    def _answered(self, messages: Sequence[Message], tools: Sequence[Tool]) -> list[_Segment]:
        return self._chat(messages, tools)

    def _chat(
        self, messages: Sequence[Message], tools: Sequence[Tool], *, prompt: bool = False
    ) -> list[_Segment]:
        turns = list(messages)
        system = turns.pop(0)["content"] if turns and turns[0]["role"] == "system" else None
        self._check_turns(turns, tools, prompt)
        bos, eos = self.tokenizer.bos_id, self.tokenizer.eos_id
        segments = list[_Segment]()
        for number, turn in enumerate(turns):
            if turn["role"] == "user":
                if bos is not None and (not number or self.form.bos_each_turn):
                    segments.append(_Segment(id=bos))
                segments.append(_Segment(self.form.ask(turn, system, first=not number)))
            else:
                answer = self.form.answer.format(content=turn["content"].strip())
                learned = is_learned(turn)
                segments.append(_Segment(answer, continuing=True, learned=learned))
                segments.append(_Segment(id=eos, learned=learned))
        return segments

    def _check_turns(self, turns: Sequence[Message], tools: Sequence[Tool], prompt: bool) -> None:
        if tools or any(turn.get("tool_calls") or turn["role"] == "tool" for turn in turns):
            raise BadData(f"the template {self.template} has no form for tools")
        if any(turn.get("reasoning") for turn in turns):
            raise BadData(f"the template {self.template} has no form for reasoning")
        expected = ("user", "assistant")
        roles = [turn["role"] for turn in turns]
        if roles != [expected[i % 2] for i in range(len(roles))]:
            raise BadData(
                f"the turns of a chat are {', '.join(roles)}; they must be user, assistant, user, "
                "… after an optional system message"
            )
        check_last(turns, "user" if prompt else "assistant")

    def _encoded(self, chats: Sequence[list[_Segment]], loss: Loss) -> list[Encoded]:
        texts = [one for segments in chats for one in segments if one.id is None]
        encoded = iter(
            self.tokenizer.encode_batch(
                [one.text for one in texts], [one.continuing for one in texts]
            )
        )
        found = []
        for segments in chats:
            ids, labels, ends = list[int](), list[int](), list[int]()
            for one in segments:
                piece = next(encoded) if one.id is None else [one.id]
                begins = one.id is not None and one.id == self.tokenizer.bos_id
                learned = loss == "all" and not begins if one.learned is None else one.learned
                ids += piece
                labels += piece if learned else [IGNORED] * len(piece)
                if one.id == self.tokenizer.eos_id and one.learned is not None:
                    ends.append(len(ids))
            found.append(Encoded(ids, labels, tuple(ends)))
        return found


def check_last(messages: Sequence[Message], *roles: str) -> None:
    """Refuse a chat that ends with a message of another role; the first of them is named."""
    last = messages[-1]["role"] if messages else "none"
    if last not in roles:
        raise BadData(f"the last message must be from the {roles[0]}, got {last}")
