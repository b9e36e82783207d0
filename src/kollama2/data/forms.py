"""Forms of training data: preferences, chats, instructions, pairs, text; all become `Example`.

A form is a row of the table `FORMS`: for each role of a value, the column names it goes by.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kollama2.errors import BadData, BadUsage
from kollama2.korean import hangul
from kollama2.model.messages import Message, Tool, contents


@dataclass(frozen=True, slots=True)
class Example:
    """One usable row, NFC: a chat (`messages`), running text (`text`), or both for a pair.

    A chat has an optional system message, then user and assistant in turn, the assistant last;
    between them may stand calls of `tools` and what these answered. Of a preference the last answer
    is the chosen one, and `rejected` the other.
    """

    line: int
    messages: tuple[Message, ...] = ()
    text: str = ""
    file: str = ""
    tools: tuple[Tool, ...] = ()
    rejected: Message | None = None

    @property
    def id(self) -> str:
        """Where the row came from: `file:line`."""
        return f"{self.file}:{self.line}"

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The chat up to its last answer."""
        return self.messages[:-1]

    @property
    def answer(self) -> Message:
        """The last answer of a chat; of a preference the chosen one."""
        return self.messages[-1]

    def digest(self) -> bytes:
        """Return what tells exact duplicates: 16 bytes of a hash of the content."""
        content = json.dumps([self.messages or self.text, *self.tools], ensure_ascii=False)
        return hashlib.blake2b(content.encode(), digest_size=16).digest()

    def texts(self) -> list[str]:
        """Return what the example itself says: a pair's two sides, without any instruction."""
        return [self.text] if self.text else self.contents()

    def contents(self) -> list[str]:
        """Return the texts of the example without any template."""
        return contents(self.messages) if self.messages else [self.text]


_SYSTEM = ("system", "system_prompt")
_TOOLS = ("tools", "functions")
_BEFORE = {"system?": _SYSTEM, "history?": ("history",)}
_BESIDE = {"system?": _SYSTEM, "chosen?": ("chosen",), "tools?": _TOOLS}
# Roles marked ? may be missing. The order decides where a row fits several forms.
FORMS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "preference": {
        "chosen": ("chosen",),
        "rejected": ("rejected",),
        "turns?": ("conversations", "conversation", "messages"),
        "prompt?": ("prompt", "instruction", "question", "질문", "명령어"),
        "input?": ("input",),
        **_BEFORE,
        "tools?": _TOOLS,
    },
    "messages": {"turns": ("messages",), **_BESIDE},
    "sharegpt": {"turns": ("conversations", "conversation"), **_BESIDE},
    "kullm": {
        **{role: (role,) for role in ("id", "instruction", "input", "output")},
        **_BEFORE,
    },
    "alpaca": {
        "instruction": ("instruction", "명령어", "지시"),
        "input?": ("input", "context", "입력"),
        "output": ("output", "response", "출력", "응답"),
        **_BEFORE,
    },
    "prompt": {
        "instruction": ("prompt",),
        "input?": ("input", "context"),
        "output": ("completion", "response", "chosen", "output"),
        **_BEFORE,
    },
    "qa": {
        "instruction": ("question", "q", "질문"),
        "input?": ("context", "input", "지문"),
        "output": ("answer", "a", "답변", "대답", "response"),
        **_BEFORE,
    },
    "pairs": {
        "en": ("en", "english", "eng", "영어", "en_*"),
        "ko": ("ko", "korean", "kor", "한국어", "ko_*"),
    },
    "document": {"title": ("title", "제목"), "text": ("content", "text", "body", "본문", "내용")},
    "text": {"text": ("text", "content", "document", "sentence", "본문", "문장")},
}


# What a chat may say in these columns is more than a remark about it, so a form that has no place
# for one cannot give the row; text is whole without them.
MEANING = frozenset("history image images audio audios video videos".split()).union(_SYSTEM, _TOOLS)
_BAD_MARKS = frozenset(("false", "0", "0.0", "-1", "bad", "rejected", "undesirable"))
_TEXTS = {"pairs", "document", "text"}


def is_filled(value: Any) -> bool:
    """Whether a cell says something."""
    return value is not None and value not in ("", [], {})


def lost_meaning(form: str, row: Mapping[str, Any], left: Iterable[str]) -> str:
    """Why a row cannot be a chat of `form` that does not use some of its columns; "" if it can.

    Args:
        form: one of `FORMS`.
        row: all cells.
        left: the columns that the form does not use.
    """
    if form in _TEXTS:
        return ""
    for column in left:
        name, value = column.strip().lower(), row[column]
        if name in MEANING and is_filled(value):
            return f'"{column}" says more than the form {form} can hold'
        if name in {"label", "kto_tag"} and str(value).strip().lower() in _bad_marks(form, name):
            return f'the answer is a bad one by its "{column}"'
    return ""


def _bad_marks(form: str, name: str) -> frozenset[str]:
    """Marks of answers that nobody should learn, as TRL's KTO and LLaMA-Factory have them.

    A number under "label" is one of two only where no form of questions has classes of them.
    """
    plain = name == "label" and form not in {"prompt", "messages", "sharegpt"}
    return frozenset({"false"}) if plain else _BAD_MARKS


def _find(names: Sequence[str], keys: Mapping[str, str]) -> str | None:
    for name in names:
        if name in keys:
            return keys[name]
        if name.endswith("*"):
            for low, key in keys.items():
                if low.startswith(name[:-1]):
                    return key
    return None


def match(
    form: str, keys: Sequence[str], columns: Mapping[str, str] | None = None
) -> dict[str, str] | None:
    """Return which column plays which role of `form`, or None where a needed one is missing.

    Args:
        form: one of `FORMS`.
        keys: the columns that there are.
        columns: a caller's own names of some or all roles.
    """
    low = {key.strip().lower(): key for key in keys}
    found = {}
    for role, names in FORMS[form].items():
        plain = role.rstrip("?")
        own = (columns or {}).get(plain)
        column = _find(names, low) if own is None else own if own in keys else None
        if column is not None:
            found[plain] = column
        elif not role.endswith("?"):
            return None
    return found


def cell(row: Mapping[str, Any], roles: Mapping[str, str], role: str) -> Any:
    """The value that plays a role in a row, None where no column does."""
    return row.get(roles[role]) if role in roles else None


def names_columns(cells: list[str]) -> bool:
    """Whether the first record of a table is a header: it names the columns of a known form."""
    return any(match(form, cells) for form in FORMS)


def detect(values: Sequence[Any], where: str) -> tuple[str, dict[str, str] | None]:
    """Return the form that fits the most of the first rows, and its columns if not by name.

    Args:
        values: the first rows of a file: objects or texts.
        where: the file, for the message.

    Raises:
        BadData: none fits; says which columns there are and how to name them.
    """
    if sum(isinstance(value, str) for value in values) * 2 > len(values):
        return "text", None
    objects = [value for value in values if isinstance(value, dict)]
    votes = Counter(
        next((form for form in FORMS if match(form, list(value))), "") for value in objects
    )
    del votes[""]
    if votes:
        return max(FORMS, key=lambda form: votes[form]), None
    columns = Counter(map(_unnamed_pair, objects)).most_common(1)
    if columns and columns[0][0]:
        return "pairs", dict(zip(columns[0][0], "01", strict=True))
    keys = sorted({key for value in objects for key in value})
    found = ", ".join(keys[:12]) or "(none)"
    if keys[:1] == ["0"]:
        found += f" (its first row: {', '.join(map(str, objects[0].values()))[:120]})"
    raise BadData(
        f"{where}: the columns {found} fit no known form "
        f"({', '.join(FORMS)}); say which is which, with --columns instruction=ask,output=reply "
        "or, in a study, columns: {instruction: ask, output: reply}"
    )


def _unnamed_pair(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the languages of columns 0 and 1 where one is English and the other Korean."""
    cells = [str(value.get("0") or ""), str(value.get("1") or "")]
    korean = [hangul.syllables(cell) > 0 for cell in cells]
    if not all(cells) or korean[0] == korean[1]:
        return ()
    return ("ko", "en") if korean[0] else ("en", "ko")


def columns_of(text: str) -> dict[str, str]:
    """Which column plays which role, out of `instruction=ask,output=reply`.

    Raises:
        BadUsage: it is not written so, or names a role twice.
    """
    parts = [[side.strip() for side in part.partition("=")[::2]] for part in text.split(",")]
    if not all(role and column for role, column in parts):
        raise BadUsage(f"columns are {text!r}; write them as instruction=ask,output=reply")
    found = dict(parts)
    if len(found) < len(parts):
        raise BadUsage(f"columns are {text!r}, which names a role twice; name each role once")
    return found


def form_of(form: str | None, columns: Mapping[str, str] | None) -> str | None:
    """Return the form that a caller means by its name or by the roles that the columns play.

    Args:
        form: one of `FORMS`, or None.
        columns: which column plays which role, as `{"instruction": "질문", "output": "답"}`; with
            a form only those whose names do not say it.

    Returns:
        The form, or None where the rows have to tell.

    Raises:
        BadUsage: there is no such form, or none with these roles.
    """
    if form is not None and form not in FORMS:
        raise BadUsage(f"there is no form {form!r}; the forms are {', '.join(FORMS)}")
    if not columns:
        return form
    for column in columns.values():
        roles = [role for role, one in columns.items() if one == column]
        if len(roles) > 1:
            raise BadUsage(
                f"columns give {column!r} to {' and '.join(roles)}; "
                "give each role a column of its own"
            )
    for one in FORMS if form is None else (form,):
        needed = {role for role in FORMS[one] if not role.endswith("?")} if form is None else set()
        if needed <= set(columns) <= {role.rstrip("?") for role in FORMS[one]}:
            return one
    shapes = "; ".join(f"{form}: {', '.join(roles)}" for form, roles in FORMS.items())
    raise BadUsage(f"columns name {', '.join(columns) or 'nothing'}, which is no form; {shapes}")
