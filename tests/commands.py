"""Commands as a user types them, in this process: one of its own would only import for seconds."""

import os
import signal
import subprocess
import sys
import warnings
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from kollama2.cli import app

# What Python itself does not show.
UNSEEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def kollama2(
    *arguments: str, folder: Path, columns: int = 120
) -> "subprocess.CompletedProcess[str]":
    """How a command ends that is typed in `folder`, and what it prints."""
    out, told, before = StringIO(), StringIO(), Path.cwd()
    with ExitStack() as stack:
        for number in (signal.SIGTERM, signal.SIGHUP):  # `main` sets its own
            stack.callback(signal.signal, number, signal.getsignal(number))
        stack.enter_context(warnings.catch_warnings())
        warnings.resetwarnings()
        for category in UNSEEN:
            warnings.simplefilter("ignore", category)
        stack.enter_context(patch.dict(os.environ, {"COLUMNS": str(columns)}))
        stack.enter_context(patch.object(sys, "argv", ["kollama2", *arguments]))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(told))
        stack.callback(os.chdir, before)
        os.chdir(folder)
        try:
            app.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), told.getvalue())
