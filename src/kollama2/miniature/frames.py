"""Sentence frames of both languages, from phrases to clauses, and how each kind of fact is told.

frames.txt holds one frame a line: name, level, tenses, slots, Korean, English; facts.txt holds one
relation a line. A slot is `name` or `name=kind`; p q r are people, l a town, v w venues, k a
number, h an hour and t the adverb of time that fits the tense. Level 2 is a phrase, 3 a sentence,
4 has clauses. The template language is described in compose.py.
"""

from dataclasses import dataclass

from kollama2.miniature.lexicon import rows

DEFAULT_KIND = {
    "p": "person",
    "q": "person",
    "r": "person",
    "l": "town",
    "v": "venue",
    "w": "venue",
    "k": "number",
    "h": "hour",
    "t": "time",
    "c": "colour",
    "g": "goods",
    "y": "kin",
}


@dataclass(frozen=True)
class Frame:
    """What a sentence says, in both languages, before anyone is named."""

    name: str
    level: int
    tenses: tuple[str, ...]
    slots: tuple[tuple[str, str], ...]
    ko: tuple[str, ...]
    en: tuple[str, ...]


@dataclass(frozen=True)
class FactFrame:
    """How one relation is stated and asked in both languages, each in at least three ways."""

    ko: tuple[str, ...]
    en: tuple[str, ...]
    ask_ko: tuple[str, ...]
    ask_en: tuple[str, ...]


@dataclass(frozen=True)
class Plot:
    """A story or a dialogue: its slots, and (speaker, Korean, English) for each line."""

    name: str
    slots: tuple[tuple[str, str], ...]
    lines: tuple[tuple[str, str, str], ...]


def _alternatives(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|"))


def _closed(text: str) -> str:
    """A sentence with its full stop; Korean templates end in a verb in braces."""
    return text if text[-1] in ".?!" else text + "."


def _slots(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (item.partition("=") for item in text.split())
    return tuple((slot, kind or DEFAULT_KIND[slot]) for slot, _, kind in pairs)


def _frame(row: str) -> Frame:
    name, level, tenses, slots, ko, en = (part.strip() for part in row.split(" ; "))
    split = tuple(tenses.split())
    korean = _alternatives(ko)
    if level != "2":
        korean = tuple(map(_closed, korean))
    return Frame(name, int(level), split, _slots(slots), korean, _alternatives(en))


def _fact_frame(row: str) -> tuple[str, FactFrame]:
    name, *parts = (part.strip() for part in row.split(" ; "))
    return name, FactFrame(*(tuple(map(_closed, _alternatives(part))) for part in parts))


def _plots(name: str) -> tuple[Plot, ...]:
    plots: list[Plot] = []
    for row in rows(name):
        if row.startswith("@"):
            title, _, slots = row[1:].partition(" ; ")
            plots.append(Plot(title.strip(), _slots(slots), ()))
        else:
            speaker, _, text = row.rpartition(":: ")
            ko, en = (part.strip() for part in text.split(" ; "))
            last = plots[-1]
            plots[-1] = Plot(last.name, last.slots, (*last.lines, (speaker, _closed(ko), en)))
    return tuple(plots)


FRAMES: tuple[Frame, ...] = tuple(map(_frame, rows("frames.txt")))
FACT_FRAMES: dict[str, FactFrame] = dict(map(_fact_frame, rows("facts.txt")))
STORIES: tuple[Plot, ...] = _plots("stories.txt")
DIALOGUES: tuple[Plot, ...] = _plots("dialogues.txt")
