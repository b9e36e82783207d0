"""Shown: what every result can do, a table for people and rows for programs."""

import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    RenderableType,
    RenderHook,
    RenderResult,
)
from rich.measure import Measurement
from rich.segment import Segment

from kollama2.errors import Missing, visible

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyarrow import Table

WIDTH = 160
"""Columns of a table where no terminal says how many it has."""
_PAGE = '<pre style="overflow-x:auto;white-space:pre;line-height:1.2">{code}</pre>'


class Shown(ABC):
    """A result: a table for people, and rows for whoever computes with it."""

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """The figures, one dictionary of plain values a row; all rows have the same keys.

        Returns:
            The rows, in the order of the table.
        """

    @abstractmethod
    def rendered(self, width: int = WIDTH) -> list[RenderableType]:
        """What a terminal shows.

        Args:
            width: columns of the terminal.

        Returns:
            Tables and sentences from top to bottom, for a `rich.Console` without markup and emoji:
            their texts are literal.
        """

    def plain(self) -> Any:
        """Everything as plain values, as `--json` prints it."""
        return self.rows()

    def table(self, width: int = WIDTH) -> str:
        """The same table as the command line prints, as plain text.

        Args:
            width: columns of the text.

        Returns:
            Its lines, the last one with its line break.
        """
        return self._printed(width).export_text()

    def to_arrow(self) -> "Table":
        """The rows as a table of pyarrow.

        Returns:
            A column for each key.
        """
        import pyarrow

        return pyarrow.Table.from_pylist(self.rows())

    def to_pandas(self) -> "DataFrame":
        """The rows as a data frame.

        Returns:
            A column for each key.

        Raises:
            Missing: pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError as error:
            raise Missing(
                "to_pandas needs pandas, which is not installed; pip install 'kollama2[pandas]'"
            ) from error
        return DataFrame(self.rows())

    def _repr_html_(self) -> str:
        """The table for a notebook: escaped, and in need of no other file."""
        return self._printed(WIDTH).export_html(inline_styles=True, code_format=_PAGE)

    def _printed(self, width: int) -> Console:
        # In a notebook rich would show by itself what is printed here.
        console = Console(
            file=io.StringIO(), width=width, highlight=False, record=True, force_jupyter=False,
            markup=False, emoji=False,
        )  # fmt: skip
        careful(console)
        for one in self.rendered(width):
            console.print(one)
        return console


def careful(console: Console) -> Console:
    """A console on which no text that is printed can move the cursor or turn the line around."""

    class Visible:
        def __init__(self, what: ConsoleRenderable) -> None:
            self.what = what

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for one in console.render(self.what, options):
                yield one if one.control else Segment(visible(one.text), one.style)

        def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
            return Measurement.get(console, options, self.what)

    class Hook(RenderHook):
        def process_renderables(
            self, renderables: list[ConsoleRenderable]
        ) -> list[ConsoleRenderable]:
            return [Visible(one) for one in renderables]

    console.push_render_hook(Hook())
    return console
