"""`kollama2 serve`: models behind an OpenAI-compatible address."""

from typing import Annotated

import typer

from kollama2.cli.chat import Opening
from kollama2.cli.console import HostOption, PortOption, spread, talk


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


@spread
def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Models, as MODEL or NAME=MODEL: folder, GGUF file, hf: id, builtin:miniature."
        ),
    ] = None,
    *,
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=ADAPTER",
            help="Adapter on the one model, whose weights are loaded once; repeatable.",
        ),
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(
            "--upstream",
            help="URL of another OpenAI-compatible server that answers, up to /v1; MODELS are then "
            "those of its models that clients may use. Its key is KOLLAMA2_UPSTREAM_KEY.",
        ),
    ] = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8322,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="KOLLAMA2_TOKEN",
            help="Token that requests must carry; required unless only this machine is served.",
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", min=1, max=256, help="Texts generated at once, per model.")
    ] = 8,
    queue: Annotated[
        int, typer.Option("--queue", min=0, max=10_000, help="Texts that may wait, per model.")
    ] = 32,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, help="Maximum number of new tokens that a request may ask for.")
    ] = 2048,
    seconds: Annotated[
        float, typer.Option(min=1, help="Time limit of a request in seconds.")
    ] = 600,
    drain: Annotated[
        int, typer.Option(min=0, max=3600, help="Seconds that running answers get after SIGTERM.")
    ] = 30,
    opening: Opening,
) -> None:
    """Serve models behind an OpenAI-compatible address.

    Requests of several clients are batched. After SIGTERM, running answers may finish. Other
    machines are served only with a token.
    """
    from kollama2.serve.start import Options, start

    start(
        models or [],
        Options(
            host=host, port=port, token=token, rows=rows, queue=queue, most=max_new_tokens,
            seconds=seconds, drain=drain, adapters=tuple(adapter or ()), upstream=upstream,
            **{**vars(opening), "safe_by": tuple(opening.safe_by or ())},
        ),
        lambda text: talk().print(text, markup=False),
    )  # fmt: skip
