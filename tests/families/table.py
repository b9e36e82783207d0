"""The table of families: the cells that are no plain yes, and the page of all of them."""

import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kollama2.errors import Fault
from tests.families.chats import LOOK_ALIKES, template
from tests.families.columns import COLUMNS
from tests.families.family import CHAT, Family, encoder, plain_tokenizer
from tests.family_tokenizers import FORMS

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
COMMAND = "python -m tests.families.table"

Cell = Callable[[Family], None]


def refused(column: str, sentence: str) -> Cell:
    """A check that a column is refused, with this sentence in what the user is told."""

    def check(family: Family) -> None:
        with pytest.raises(Fault) as caught:
            COLUMNS[column](family)
        assert sentence in str(caught.value)

    return check


def metas(family: Family) -> None:
    """Meta's ids in what is trained, which transformers does not give for the base."""
    template(family)
    theirs = plain_tokenizer(family.base).apply_chat_template(
        [dict(m) for m in CHAT], return_dict=False
    )
    ours = encoder(family.base).encode(CHAT).ids
    first, other = plain_tokenizer(family.base).convert_ids_to_tokens([ours[1], theirs[1]])
    assert first.startswith("▁")
    assert not other.startswith("▁")


SENTENCES: Mapping[tuple[str, str], tuple[str, Cell]] = {
    ("Llama 2", "own template"): (
        "Training follows Meta's reference, where a turn begins with the piece `▁[`; transformers "
        "5 begins it with `[` when it reads a folder of others. In the folders that kollama2 "
        "writes, `apply_chat_template` gives Meta's ids for the 200 dialogs.",
        metas,
    ),
    ("polyglot-ko", "own template"): (
        "It has none, so its chats are written as Llama 2's text; in the folders that kollama2 "
        "writes, `apply_chat_template` gives the ids of training for the 200 dialogs.",
        template,
    ),
}
"""By family and column: the sentence in the place of yes, and the check that it is true."""

_HEAD = """\
# Families of models

Every family below goes through everything that is done with a model. Each cell is a test
(`tests/families`) on a tiny random model with all kinds of layers of its family, and a tokenizer
and chat template of the family's form: names, places and flags of the control tokens, what is put
in front of a text, the class that `tokenizer_config.json` names, and the quirks of the template.
Wrappers with a vision tower (Mistral 3, Qwen 3.5, Gemma 3) are trained and saved as they came. The
page is written by `{command}` and compared by a test.
"""
_LOOK_ALIKES = """\
Of the 200 dialogs (Korean, English, emoji, white space, thoughts, turns out of order), those in
which a user writes the name of a control token of this family. It stays text here."""


def cell(name: str, column: str) -> Cell:
    """The check of a cell."""
    known = SENTENCES.get((name, column))
    return COLUMNS[column] if known is None else known[1]


def page() -> str:
    """The page in Markdown."""
    notes = list[str]()
    lines = [f"| | {' | '.join(COLUMNS)} | look-alikes |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name in FORMS:
        row = []
        for column in COLUMNS:
            sentence = SENTENCES.get((name, column), ("", None))[0]
            if sentence and sentence not in notes:
                notes.append(sentence)
            row.append(f"[{notes.index(sentence) + 1}](#notes)" if sentence else "yes")
        lines.append(f"| **{name}** | {' | '.join(row)} | {LOOK_ALIKES[name]} |")
    meaning = [f"- **{column}**: {_told(check)}" for column, check in COLUMNS.items()]
    meaning.append(f"- **look-alikes**: {' '.join(_LOOK_ALIKES.split())}")
    numbered = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    parts = [
        _HEAD.format(command=COMMAND),
        "\n".join(lines),
        "## Notes\n\n" + "\n".join(numbered) if notes else "",
        "## What each column shows\n\n" + "\n".join(meaning),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _told(check: Cell) -> str:
    return " ".join((inspect.getdoc(check) or "").split())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE} is written", file=sys.stderr)
