"""`kollama2 watch`: a page that shows the studies of a store while they are computed."""

from typing import Annotated

import typer

from kollama2.cli.console import STORE, StoreOption, talk


def watch(
    store: StoreOption = STORE,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 picks a free one.")
    ] = 8323,
) -> None:
    """Show the studies of a store live: stages, training curves and leaderboard, on a page.

    It only reads. If other machines can reach the address, it contains a token, new at each start.
    """
    from kollama2.watch.app import serve

    serve(store, host, port, lambda text: talk().print(text, markup=False))
