"""The server's process: it listens, tells what it serves, and drains at its end."""

import signal
import socket
from types import FrameType

import uvicorn

from kollama2.serve.app import create
from kollama2.serve.served import Served
from kollama2.web import local_names, run


class _Draining(uvicorn.Server):
    """A server for which SIGTERM is the ordinary end: what is being written is finished."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; by SIGTERM without the signal's default after it."""
        if sig != signal.SIGTERM:
            super().handle_exit(sig, frame)
        self.should_exit = True


def serve(served: Served, listening: socket.socket, token: str | None, drain: int) -> None:
    """Serve models until the process is asked to end; returns after SIGTERM.

    Args:
        served: the models and who judges.
        listening: what `web.listen` returned.
        token: what every request must carry; then anyone may be the host's name.
        drain: seconds for what is being written when the process is to end.
    """
    names = None if token else local_names(listening)
    run(create(served, names, token), listening, drain, _Draining)
