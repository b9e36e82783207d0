"""`kollama2 complete` and `kollama2 chat`: a model on the terminal or in a pipe, as it writes."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kollama2.cli.console import MirrorsOption, OntoOption, spread, talk
from kollama2.errors import visible
from kollama2.locale import mark, say

if TYPE_CHECKING:
    from kollama2.llama.talk import Talker
    from kollama2.model.messages import Message
    from kollama2.safety.guard import Guard

ModelArgument = Annotated[
    str,
    typer.Argument(
        help="Model folder (Hugging Face's or Meta's), GGUF file, hf: id, builtin:miniature."
    ),
]
SystemOption = Annotated[str | None, typer.Option(help="System prompt.")]
TemperatureOption = Annotated[float, typer.Option(min=0, help="Sampling temperature; 0 is greedy.")]
TopPOption = Annotated[
    float,
    typer.Option("--top-p", min=0, max=1, help="Nucleus sampling: probability mass to keep."),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed for sampling.")]
LengthOption = Annotated[int, typer.Option(min=1, help="Maximum length of an answer in tokens.")]


@dataclass(frozen=True)
class Opening:
    """How a model that talks is opened, and what judges it: shared with `serve`."""

    context: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Maximum number of tokens of prompt and answer (default: the model's own, up to "
            "4096 for Llama).",
        ),
    ] = None
    tokenizer: Annotated[
        Path | None, typer.Option(help="tokenizer.model, if the folder has none.")
    ] = None
    onto: OntoOption = None
    mirrors: MirrorsOption = None
    safe: Annotated[bool, typer.Option("--safe", help="Same as --safe-by default.")] = False
    safe_by: Annotated[
        list[str] | None,
        typer.Option(
            help="Classifier of input and output: default, or a folder or hf: id of Llama Guard or "
            "of a text classifier. Repeatable.",
        ),
    ] = None


_HELP = mark("/new begins a new dialog, /exit ends, Ctrl-C stops an answer")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(complete)
    app.command()(chat)


@spread
def complete(
    model: ModelArgument,
    prompt: Annotated[
        str | None, typer.Argument(help="Prompt; read from standard input if omitted or -.")
    ] = None,
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Continue the prompt as plain text.")] = False,
    system: SystemOption = None,
    max_new_tokens: LengthOption = 256,
    temperature: TemperatureOption = 0.0,
    top_p: TopPOption = 0.9,
    seed: SeedOption = 1,
    opening: Opening,
) -> None:
    """Answer a prompt in the model's own chat template, or continue it as text with --raw."""
    from kollama2.errors import BadUsage
    from kollama2.llama.talk import dialog_ids, text_ids

    text = sys.stdin.read() if prompt in (None, "-") else prompt
    if not text or not text.strip():
        raise BadUsage(say("the prompt is empty; give one, or pipe it in"))
    guard, talker = _opened(model, seed, opening)
    dialog = _dialog(system, [], text if raw else text.strip())
    ids = _fitting(text_ids(talker, text) if raw else dialog_ids(talker, dialog), talker)
    new = talker.stream(ids, max_new_tokens, temperature, top_p)
    _answer(guard, dialog, _spelled(talker, new, ids if raw else []))


@spread
def chat(
    model: ModelArgument,
    *,
    system: SystemOption = None,
    max_new_tokens: LengthOption = 512,
    temperature: TemperatureOption = 0.6,
    top_p: TopPOption = 0.9,
    seed: SeedOption = 1,
    opening: Opening,
) -> None:
    """Chat with a model over several turns.

    From a pipe, each line is a turn.
    """
    from kollama2.errors import Fault
    from kollama2.llama.talk import dialog_ids

    guard, talker = _opened(model, seed, opening)
    if sys.stdin.isatty():
        talk().print(say(_HELP))
    past: list[Message] = []
    used = code = 0
    for line in _lines():
        if line in ("/exit", "/quit"):
            return
        if line == "/new":
            past, used = [], 0
            continue
        dialog = _dialog(system, past, line)
        try:
            ids = _fitting(dialog_ids(talker, dialog), talker)
        except Fault as fault:
            talk().print(f"{fault}; {say(_HELP)}", markup=False)
            if not sys.stdin.isatty():  # answers of a pipe stand in the lines of their questions
                print(flush=True)
                code = fault.exit_code
            continue
        new = list[int]()
        heard = _heard(talker.stream(ids, max_new_tokens, temperature, top_p), new)
        answer = _answer(guard, dialog, _spelled(talker, heard, []))
        if answer is not None:  # what the guard stopped is no part of the talk
            past += [
                {"role": "user", "content": line},
                {"role": "assistant", "content": answer},
            ]
            used = len(ids) + len(new)
        filled = say("[{used} of {length} tokens]", used=used, length=talker.length)
        talk().print(filled, style="dim", markup=False)
    if code:
        raise typer.Exit(code)


def _lines() -> Iterator[str]:
    """What the user says, line by line, without empty lines."""
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin if line.strip())
        return
    with suppress(ImportError):
        import readline  # noqa: F401 (gives input() a line editor)
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            return
        if line:
            yield line


def _opened(model: str, seed: int, opening: Opening) -> "tuple[Guard | None, Talker]":
    """What both commands need: the guard, if one is wanted, and the model."""
    from kollama2.engine.hub import load_mirrors
    from kollama2.llama.talk import open_talker

    known = load_mirrors(opening.mirrors)
    guard = _guard(opening, known)
    talker = open_talker(
        model,
        tokenizer=opening.tokenizer,
        context=opening.context,
        seed=seed,
        onto=opening.onto,
        mirrors=known,
        tell=talk().print,
    )
    return guard, talker


def _guard(opening: Opening, mirrors: dict[str, Path]) -> "Guard | None":
    if not opening.safe and not opening.safe_by:
        return None
    from kollama2.safety.guard import Guard
    from kollama2.safety.load import load

    chosen = dict.fromkeys([*(["default"] if opening.safe else []), *(opening.safe_by or [])])
    return Guard([load(name, mirrors=mirrors) for name in chosen])


def _dialog(system: str | None, past: "list[Message]", text: str | None = None) -> "list[Message]":
    found: list[Message] = [{"role": "system", "content": system}] if system else []
    found += past
    return found if text is None else [*found, {"role": "user", "content": text}]


def _fitting(ids: list[int], talker: "Talker") -> list[int]:
    """Ids that leave room for an answer.

    Raises:
        BadUsage: they do not.
    """
    from kollama2.errors import BadUsage

    if len(ids) >= talker.length:
        raise BadUsage(
            say(
                "the dialog has {used} tokens and the context {length}; shorten it",
                used=len(ids),
                length=talker.length,
            )
        )
    return ids


def _heard(ids: Iterable[int], into: list[int]) -> Iterator[int]:
    """The same ids, which are also kept."""
    for one in ids:
        into.append(one)
        yield one


def _spelled(talker: "Talker", ids: Iterable[int], before: list[int]) -> Iterator[str]:
    """The text of new ids as it comes; an answer begins without white space."""
    from kollama2.llama.spell import spell

    pieces = spell(talker.encoder.tokenizer, ids, before)
    if before:
        yield from pieces
        return
    started = False
    for piece in pieces:
        piece = piece if started else piece.lstrip()
        if piece:
            started = True
            yield piece


def _answer(guard: "Guard | None", dialog: "list[Message]", pieces: Iterator[str]) -> str | None:
    """Print an answer, or a refusal and return None where the guard stops it."""
    if guard is None:
        return _say(pieces)
    from kollama2.safety.guard import Unsafe, refusal

    verdict = guard.judge(dialog, "input")
    if verdict.safe:
        try:
            return _say(guard.screen(dialog, pieces))
        except Unsafe as stopped:
            verdict = stopped.verdict
    told = say("stopped by {classifier}: {why}", classifier=verdict.by, why=verdict.reason)
    talk().print(told, markup=False)
    print(refusal(dialog[-1]["content"]), flush=True)
    return None


def _say(pieces: Iterator[str]) -> str:
    """Print an answer as it comes; Ctrl-C ends it early. Returns what was said."""
    said, shown = "", sys.stdout.isatty()
    try:
        for piece in pieces:
            print(visible(piece) if shown else piece, end="", flush=True)
            said += piece
    except KeyboardInterrupt:
        if not sys.stdin.isatty():
            raise
    print(flush=True)
    return said.strip()
