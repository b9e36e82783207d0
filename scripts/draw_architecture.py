"""Draw docs/architecture.svg: the floors and who imports whom, from the code and pyproject.toml.

An arrow that follows from others is left out: where A imports B and B imports C, none leads from A
to C. Arrows to one package share a lane on the floors that they pass.
"""

from pathlib import Path

import grimp
from importlinter.api import read_configuration

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
PACKAGE = "kollama2"

WIDTH, MARGIN = 900, 30
BOX, HEIGHT, LANE, GAP, FLOOR = 112, 36, 8, 36, 92  # pixels

Spot = tuple[int, str]
"""A floor, 0 at the top, and a package: its box where it lives there, else the lane to it."""


def floors() -> list[list[str]]:
    """The packages of each floor, top first, as import-linter is told them."""
    (contract,) = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    return [
        [name.strip().removeprefix(f"{PACKAGE}.") for name in layer.split("|")]
        for layer in contract["layers"]
    ]


def imports(packages: list[str]) -> dict[str, set[str]]:
    """For each package those that it imports, directly."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    found: dict[str, set[str]] = {name: set() for name in packages}
    for module in graph.modules:
        importer = _package(module)
        for imported in map(_package, graph.find_modules_directly_imported_by(module)):
            if importer in found and imported in found and importer != imported:
                found[importer].add(imported)
    return found


def needed(direct: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The arrows from which all others follow."""

    def below(name: str) -> set[str]:
        return direct[name].union(*map(below, direct[name]))

    return [
        (one, other)
        for one, others in direct.items()
        for other in sorted(others)
        if not any(other in below(between) for between in others)
    ]


def stretches(rows: list[list[str]]) -> list[tuple[Spot, Spot]]:
    """The arrows in stretches from one floor to the next, each once."""
    floor = {name: number for number, row in enumerate(rows) for name in row}
    found: dict[tuple[Spot, Spot], None] = {}
    for one, other in needed(imports(list(floor))):
        for number in range(floor[one], floor[other]):
            start = one if number == floor[one] else other
            found[(number, start), (number + 1, other)] = None
    return list(found)


def middles(rows: list[list[str]], lines: list[tuple[Spot, Spot]]) -> dict[Spot, float]:
    """How far from the left each box and lane is, on each floor in the order of what is above."""
    middle: dict[Spot, float] = {}
    for number, row in enumerate(rows):
        ends = [end for _, end in lines if end[0] == number]
        spots = list(dict.fromkeys([*((number, name) for name in row), *ends]))

        def above(spot: Spot) -> float:
            over = [middle[start] for start, end in lines if end == spot]
            return sum(over) / len(over) if over else WIDTH / 2

        spots.sort(key=above)
        widths = [BOX if name in row else LANE for _, name in spots]
        gap = min(GAP, (WIDTH - sum(widths)) / len(spots))
        left = (WIDTH - sum(widths) - gap * (len(spots) - 1)) / 2
        for spot, width in zip(spots, widths, strict=True):
            middle[spot] = left + width / 2
            left += width + gap
    return middle


def picture() -> str:
    """The picture as SVG."""
    rows = floors()
    lines = stretches(rows)
    middle = middles(rows, lines)
    paths = [_path(middle[a], middle[b], b[0], b[1] in rows[b[0]]) for a, b in lines]
    boxes = [_box(name, middle[n, name], n) for n, row in enumerate(rows) for name in row]
    return "\n".join([_head(_top(len(rows) - 1) + HEIGHT + MARGIN), *paths, *boxes, "</svg>", ""])


def _package(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.").partition(".")[0]


def _top(floor: int) -> int:
    return MARGIN + FLOOR * floor


def _head(height: int) -> str:
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"
  font-family="ui-monospace, monospace" font-size="14">
<title>The packages of {PACKAGE} on their floors; arrows lead to what is imported</title>
<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8"
  orient="auto"><path d="M0 0L8 4L0 8z" fill="#5b6b8c"/></marker></defs>
<rect width="{WIDTH}" height="{height}" rx="8" fill="#f6f8fb"/>"""


def _path(x: float, u: float, floor: int, ends: bool) -> str:
    """A stretch down to a floor: to the box where the arrow ends there, else through it."""
    v = _top(floor)
    y = v - FLOOR + HEIGHT
    bend = (v - y) * 0.6
    path = f"M{x:g} {y}C{x:g} {y + bend:g} {u:g} {v - bend:g} {u:g} {v}"
    more = '" marker-end="url(#tip)' if ends else f"V{v + HEIGHT}"
    return f'<path fill="none" stroke="#5b6b8c" d="{path}{more}"/>'


def _box(name: str, x: float, floor: int) -> str:
    y = _top(floor)
    return (
        f'<rect x="{x - BOX / 2:g}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="6" fill="#fff" '
        f'stroke="#3f51b5"/>\n<text x="{x:g}" y="{y + 23}" text-anchor="middle" fill="#1d2433">'
        f"{name}</text>"
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE)
