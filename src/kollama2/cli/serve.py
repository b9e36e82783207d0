"""`kollama2 serve`: models behind an OpenAI-compatible address."""

from typing import Annotated

import typer

from kollama2.cli.chat import ContextOption, SafeFlag, SafeOption, TokenizerOption
from kollama2.cli.console import MirrorsOption, OntoOption, talk


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Models, as MODEL or NAME=MODEL: folder, GGUF file, hf: id, builtin:miniature."
        ),
    ] = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=ADAPTER",
            help="An adapter on the one model, which is held once; repeatable.",
        ),
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(
            "--upstream",
            help="Another OpenAI-compatible server that answers, up to /v1; MODELS are then its "
            "models that clients may ask for. Its key: KOLLAMA2_UPSTREAM_KEY.",
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8322,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="KOLLAMA2_TOKEN",
            help="Token that requests must carry; needed unless only this machine is served.",
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", min=1, max=256, help="Texts written at once, for each model.")
    ] = 8,
    queue: Annotated[
        int, typer.Option("--queue", min=0, max=10_000, help="Texts that may wait, for each model.")
    ] = 32,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, help="New tokens that a request may ask for.")
    ] = 2048,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds for a request.")] = 600,
    drain: Annotated[
        int, typer.Option(min=0, max=3600, help="Seconds for running answers after SIGTERM.")
    ] = 30,
    context: ContextOption = None,
    tokenizer: TokenizerOption = None,
    onto: OntoOption = None,
    mirrors: MirrorsOption = None,
    safe: SafeFlag = False,
    safe_by: SafeOption = None,
) -> None:
    """Serve models behind an OpenAI-compatible address. Texts of several clients share steps.

    SIGTERM lets running answers end. Other machines are served only with a token.
    """
    from kollama2.serve.start import Options, start

    start(
        models or [],
        Options(
            host=host, port=port, token=token, rows=rows, queue=queue, most=max_new_tokens,
            seconds=seconds, drain=drain, context=context, tokenizer=tokenizer, onto=onto,
            adapters=tuple(adapter or ()), mirrors=mirrors, safe=safe,
            safe_by=tuple(safe_by or ()), upstream=upstream,
        ),
        lambda text: talk().print(text, markup=False),
    )  # fmt: skip
