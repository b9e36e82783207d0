"""`kollama2 watch`: a page that shows the studies of a store while they are computed."""

from kollama2.cli.console import STORE, HostOption, PortOption, StoreOption, talk


def watch(
    store: StoreOption = STORE,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8323,
) -> None:
    """Show the studies of a store live: stages, training curves and leaderboard, on a page.

    It only reads. If other machines can reach the address, it contains a token, new at each start.
    """
    from kollama2.watch.app import serve

    serve(store, host, port, lambda text: talk().print(text, markup=False))
