"""Compact letter display: models share a letter exactly if they cannot be told apart."""

import string
from collections.abc import Collection, Sequence


def compact_letters(names: Sequence[str], separable: Collection[frozenset[str]]) -> dict[str, str]:
    """Letters for each name, such that two names share one iff their pair is not in `separable`.

    The insert-absorb algorithm of Piepho (J. Comput. Graph. Stat. 13, 2004): start with one column
    that holds everyone; for each separable pair, replace every column that holds both by two that
    each lack one; drop columns that lie within another.

    Args:
        names: best first, so that `a` is the first tier.
        separable: pairs of names that differ.

    Returns:
        Letters in alphabetical order, e.g. "a", "ab"; after z come columns "A" to "Z".
    """
    columns: list[frozenset[str]] = [frozenset(names)]
    for pair in sorted(separable, key=sorted):
        left, right = sorted(pair)
        split = [
            part
            for column in columns
            for part in ((column - {left}, column - {right}) if pair <= column else (column,))
        ]
        unique = list(dict.fromkeys(split))
        columns = [one for one in unique if not any(one < other for other in unique)]
    place = {name: index for index, name in enumerate(names)}
    columns.sort(key=lambda column: sorted(place[name] for name in column))
    return {
        name: "".join(_letter(index) for index, column in enumerate(columns) if name in column)
        for name in names
    }


def _letter(index: int) -> str:
    """One character for each column: a to z, A to Z, then Greek and what follows it."""
    known = string.ascii_letters
    return known[index] if index < len(known) else chr(ord("α") + index - len(known))
