"""A model that is served: its name, its engine, and the ids of what it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from kollama2.errors import BadData, BadUsage, Fault
from kollama2.llama.generate import Generator
from kollama2.llama.generation import BASE, Decoder
from kollama2.llama.talk import Talker, dialog_ids, open_talker, text_ids
from kollama2.model.chat import ChatEncoder
from kollama2.model.find import NONE, Mirrors
from kollama2.model.gguf.convert import Tell
from kollama2.model.messages import Message, Tool
from kollama2.serve.ask import MESSAGES
from kollama2.serve.engine import Engine
from kollama2.serve.refusal import Refusal
from kollama2.serve.start import Options

# Families beside Llama whose texts are the same in a shared step, by a test of each.
TOGETHER = ("gpt_neox", "granite", "mistral", "qwen2", "qwen3", "smollm3")
CONTEXT = 4096  # tokens of prompt and answer, unless the model was made for fewer
_TURNS: list[Message] = [
    {"role": "user", "content": "서울은 어떤 도시입니까?"},
    {"role": "assistant", "content": "Seoul is the capital of Korea."},
]


@dataclass(frozen=True)
class Model:
    """A model under its name.

    Attributes:
        name: what clients call it.
        talker: writes, and has the encoder that training had.
        engine: serves all clients.
        most: new tokens that a request may ask for.
        length: tokens of a prompt with its answer.
        words: ids that both the tokenizer and the weights know, from 0 on.
        adapter: which of the engine's adapters it is; `BASE` is none.
    """

    name: str
    talker: Talker
    engine: Engine
    most: int
    length: int
    words: int
    adapter: str = BASE

    def chat_ids(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[int]:
        """The ids of a dialog up to where the answer begins, as training saw them.

        Raises:
            Refusal: the model's template cannot write it, or it is too long.
        """
        try:
            return self._fitting(dialog_ids(self.talker, messages, tools), "messages")
        except Fault as fault:
            raise Refusal(400, str(fault), "messages", "invalid_value") from fault

    def text_ids(self, prompt: str | list[int]) -> list[int]:
        """The ids of a text that is continued: BOS, where the tokenizer has it, and the text.

        Raises:
            Refusal: it is empty, too long, or holds ids that are none of the model's.
        """
        if isinstance(prompt, str):
            return self._fitting(text_ids(self.talker, prompt), "prompt")
        if prompt and not 0 <= min(prompt) <= max(prompt) < self.words:
            raise Refusal(400, "prompt: it holds ids that the model has not", "prompt", "invalid")
        return self._fitting(prompt, "prompt")

    def text_of(self, ids: list[int]) -> str:
        """The text of ids; those that the model has not are no text."""
        return self.talker.encoder.tokenizer.decode([one for one in ids if 0 <= one < self.words])

    def room(self, prompt: Sequence[int], wanted: int | None) -> int:
        """New tokens that a request gets: what it wants, and no more than fit.

        Raises:
            Refusal: it wants more than anybody may have.
        """
        if wanted is not None and wanted > self.most:
            raise Refusal(
                400, f"max_tokens: {wanted} new tokens are asked for and {self.most} are given here"
                " at most; ask for fewer", "max_tokens", "invalid_value",
            )  # fmt: skip
        return min(self.most if wanted is None else wanted, self.length - len(prompt))

    def _fitting(self, ids: list[int], param: str) -> list[int]:
        if not ids:
            raise Refusal(400, f"{param}: it is empty; say something", param, "invalid_value")
        if len(ids) >= self.length:
            raise Refusal(
                400, f"{param}: {len(ids)} tokens, and the context has {self.length} for them and "
                "the answer; shorten it", param, "context_length_exceeded",
            )  # fmt: skip
        return ids


def open_model(
    name: str, place: str, options: Options, *, mirrors: Mirrors = NONE, tell: Tell
) -> Model:
    """Load a model to serve.

    Args:
        name: what its clients call it.
        place: the model, as `talk.open_talker` knows it.
        options: how it is served; a context of None is 4096 at most for every family.
        mirrors: as for `open_talker`.
        tell: receives what is said of loading.

    Raises:
        BadData: its chat template comes to no end for a long dialog.
        Fault: as `open_talker`.
    """
    talker = open_talker(
        place, rows=options.rows, context=options.context, tokenizer=options.tokenizer,
        onto=options.onto, mirrors=mirrors, tell=tell,
    )  # fmt: skip
    length = talker.length if options.context else min(talker.length, CONTEXT)
    decoder = _together(talker, options.rows, length) if isinstance(talker, Generator) else None
    try_template(talker.encoder)
    # A tokenizer may have more: Gemma 3's has an image, for which its text models have no row.
    known = talker.model.config.get_text_config().vocab_size
    words = min(len(talker.encoder.tokenizer.vocabulary()), known)
    engine = Engine(talker, options.queue, decoder)
    return Model(name, talker, engine, options.most, length, words)


def try_template(encoder: ChatEncoder) -> None:
    """Write the longest dialog that clients may send while a template can be stopped.

    In the threads that serve them it cannot.

    Raises:
        BadData: it comes to no end. What it refuses for another reason it may refuse.
    """
    turns = [message for _ in range(MESSAGES // 2) for message in _TURNS]
    try:
        encoder.prompt(turns[:-1])
    except BadData as error:
        if isinstance(error.__cause__, TimeoutError):
            raise


def _together(talker: Generator, rows: int, length: int) -> Decoder | None:
    """What writes several texts at once; None where the model cannot, or has windows or rules."""
    if talker.model.config.model_type not in TOGETHER or talker.rules:
        return None
    try:
        return Decoder(talker.model, rows, length)
    except BadUsage:
        return None
