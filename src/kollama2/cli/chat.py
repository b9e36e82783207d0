"""`kollama2 complete` and `kollama2 chat`: a model on the terminal or in a pipe, as it writes."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kollama2.cli.console import MirrorsOption, OntoOption, talk
from kollama2.errors import visible

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
    typer.Option(
        "--top-p", min=0, max=1, help="Nucleus sampling: share of the probability to sample from."
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed for sampling.")]
LengthOption = Annotated[int, typer.Option(min=1, help="Maximum length of an answer in tokens.")]
ContextOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Maximum tokens of prompt and answer; the model's own, up to 4096 for Llama."
    ),
]
TokenizerOption = Annotated[
    Path | None, typer.Option(help="tokenizer.model, if the folder has none.")
]
SafeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--safe-by",
        help="Classifier of input and output: default, or a folder or hf: id of Llama Guard or a "
        "text classifier. Repeatable.",
    ),
]
SafeFlag = Annotated[bool, typer.Option("--safe", help="Same as --safe-by default.")]

_HELP = "/new begins a new dialog, /exit ends, Ctrl-C stops an answer"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(complete)
    app.command()(chat)


def complete(
    model: ModelArgument,
    prompt: Annotated[
        str | None, typer.Argument(help="Prompt; standard input if omitted or -.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Continue the prompt as plain text.")] = False,
    system: SystemOption = None,
    max_new_tokens: LengthOption = 256,
    temperature: TemperatureOption = 0.0,
    top_p: TopPOption = 0.9,
    seed: SeedOption = 1,
    context: ContextOption = None,
    tokenizer: TokenizerOption = None,
    onto: OntoOption = None,
    mirrors: MirrorsOption = None,
    safe: SafeFlag = False,
    safe_by: SafeOption = None,
) -> None:
    """Answer a prompt in the model's own chat template. With --raw, continue it as text."""
    from kollama2.errors import BadUsage
    from kollama2.llama.talk import dialog_ids, text_ids

    text = sys.stdin.read() if prompt in (None, "-") else prompt
    if not text or not text.strip():
        raise BadUsage("the prompt is empty; give one, or pipe it in")
    guard, talker = _opened(model, tokenizer, context, seed, onto, mirrors, safe, safe_by)
    dialog = _dialog(system, [], text if raw else text.strip())
    ids = _fitting(text_ids(talker, text) if raw else dialog_ids(talker, dialog), talker)
    new = talker.stream(ids, max_new_tokens, temperature, top_p)
    _answer(guard, dialog, _spelled(talker, new, ids if raw else []))


def chat(
    model: ModelArgument,
    system: SystemOption = None,
    max_new_tokens: LengthOption = 512,
    temperature: TemperatureOption = 0.6,
    top_p: TopPOption = 0.9,
    seed: SeedOption = 1,
    context: ContextOption = None,
    tokenizer: TokenizerOption = None,
    onto: OntoOption = None,
    mirrors: MirrorsOption = None,
    safe: SafeFlag = False,
    safe_by: SafeOption = None,
) -> None:
    """Chat with a model over several turns. From a pipe, each line is a turn."""
    from kollama2.errors import Fault
    from kollama2.llama.talk import dialog_ids

    guard, talker = _opened(model, tokenizer, context, seed, onto, mirrors, safe, safe_by)
    if sys.stdin.isatty():
        talk().print(_HELP)
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
            talk().print(f"{fault}; {_HELP}", markup=False)
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
        talk().print(f"[{used} of {talker.length} tokens]", style="dim", markup=False)
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


def _opened(
    model: str,
    tokenizer: Path | None,
    context: int | None,
    seed: int,
    onto: str | None,
    mirrors: Path | None,
    safe: bool,
    safe_by: list[str] | None,
) -> "tuple[Guard | None, Talker]":
    """What both commands need: the guard, if one is wanted, and the model."""
    from kollama2.engine.hub import load_mirrors
    from kollama2.llama.talk import open_talker

    known = load_mirrors(mirrors)
    guard = _guard(safe, safe_by, known)
    talker = open_talker(
        model,
        tokenizer=tokenizer,
        context=context,
        seed=seed,
        onto=onto,
        mirrors=known,
        tell=talk().print,
    )
    return guard, talker


def _guard(safe: bool, names: list[str] | None, mirrors: dict[str, Path]) -> "Guard | None":
    if not safe and not names:
        return None
    from kollama2.safety.guard import Guard
    from kollama2.safety.load import load

    chosen = dict.fromkeys([*(["default"] if safe else []), *(names or [])])
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
            f"the dialog has {len(ids)} tokens and the context {talker.length}; shorten it"
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
    talk().print(f"stopped by {verdict.by}: {verdict.reason}", markup=False)
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
