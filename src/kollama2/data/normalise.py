"""From a parsed row of a known form to an `Example`, counting everything that is changed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kollama2.data.decode import DEEP
from kollama2.data.forms import Example, cell, is_filled, lost_meaning, match
from kollama2.data.lines import Reject, Row, sample_of, too_long
from kollama2.data.preferred import read_preference
from kollama2.data.turns import Unusable, in_turn, read_history, read_tools, read_turns, text_of
from kollama2.model.messages import Message

_TO_KOREAN = "다음 영어를 한국어로 번역하세요."
_TO_ENGLISH = "Translate the following Korean into English."


@dataclass
class Normaliser:
    """Makes the rows of one file examples.

    Attributes:
        form: one of `FORMS`.
        file: the name of the file.
        columns: which column plays which role, where their names do not say.
        counts: how many rows were changed, by what was done to them.
        unused: how many rows say something in a column that the form does not use.
    """

    form: str
    file: str
    columns: Mapping[str, str] | None
    counts: Counter[str]
    unused: Counter[str] = field(default_factory=Counter)
    _matched: dict[tuple[str, ...], tuple[dict[str, str] | None, list[str]]] = field(
        default_factory=dict
    )

    def example(self, row: Row) -> Example | Reject:
        """Return the row as an example, or why it cannot be one."""
        changes: Counter[str] = Counter()
        try:
            found = self._read(row, changes)
        except Unusable as error:
            return Reject(row.line, str(error), sample_of(row.value), self.file)
        except RecursionError:
            return Reject(row.line, DEEP, "", self.file)
        contents = found.contents()
        if reason := max(map(too_long, contents), default=""):
            return Reject(row.line, reason, sample_of(contents[0]), self.file)
        self.counts.update(dict.fromkeys(changes, 1))
        return found

    def _read(self, row: Row, changes: Counter[str]) -> Example:
        value = row.value
        if isinstance(value, str):
            value = {"text": value}
        roles, left = self._roles(tuple(value))
        self.unused.update(column for column in left if is_filled(value[column]))
        if reason := lost_meaning(self.form, value, left):
            raise Unusable(reason)
        tools = read_tools(cell(value, roles, "tools"), changes)
        if self.form == "preference":
            chat, other = read_preference(value, roles, changes)
            return Example(row.line, chat, file=self.file, tools=tools, rejected=other)
        if self.form in {"messages", "sharegpt"}:
            turns = self._turns(value, roles, changes)
            return Example(row.line, turns, file=self.file, tools=tools)
        cells = {
            role: text_of(value.get(column), role, changes)
            for role, column in roles.items()
            if role not in {"id", "history"}
        }
        for role in ("instruction", "output", "en", "ko", "text"):
            if role in cells and not cells[role]:
                raise Unusable(f'the "{roles[role]}" is empty')
        if self.form == "text":
            return Example(row.line, text=cells["text"], file=self.file)
        if self.form == "document":
            text = "\n\n".join(filter(None, (cells["title"], cells["text"])))
            return Example(row.line, text=text, file=self.file)
        if self.form == "pairs":
            return self._pair(row.line, cells["en"], cells["ko"])
        ask: Message = {"role": "user", "content": cells["instruction"]}
        if cells.get("input"):
            ask["input"] = cells["input"]
        earlier = read_history(cell(value, roles, "history"), changes)
        said = self._chat(cells.get("system", ""), earlier, ask, cells["output"])
        # What is read from columns of texts is in turn already, all but the history.
        return Example(row.line, in_turn(said, changes) if earlier else tuple(said), "", self.file)

    def _roles(self, keys: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
        """Which column plays which role, and those that play none."""
        if keys not in self._matched:
            found = match(self.form, keys, self.columns)
            used = set((found or {}).values())
            self._matched[keys] = found, [key for key in keys if key not in used]
        roles, left = self._matched[keys]
        if roles is None:
            raise Unusable(f"has no columns of the form {self.form} (found {', '.join(keys[:8])})")
        return roles, left

    def _pair(self, line: int, english: str, korean: str) -> Example:
        if english == korean:
            raise Unusable("the two sides are the same")
        # Both directions are taught in turn: one alone leaves the other near zero
        # (research on translation data: a model learns only the direction it sees).
        if line % 2:
            task, source, target = _TO_KOREAN, english, korean
        else:
            task, source, target = _TO_ENGLISH, korean, english
        ask: Message = {"role": "user", "content": task, "input": source}
        chat = tuple(self._chat("", [], ask, target))
        return Example(line, chat, f"{source}\n{target}", self.file)

    def _chat(
        self, system: str, earlier: list[Message], ask: Message, answer: str
    ) -> list[Message]:
        before: list[Message] = [{"role": "system", "content": system}] if system else []
        return [*before, *earlier, ask, {"role": "assistant", "content": answer}]

    def _turns(
        self, value: Mapping[str, Any], roles: Mapping[str, str], changes: Counter[str]
    ) -> tuple[Message, ...]:
        said = read_turns(value.get(roles["turns"]), roles["turns"], changes)
        chosen = cell(value, roles, "chosen")
        if isinstance(chosen, (dict, list)):
            better = read_turns(chosen, roles["chosen"], changes)
            said = better if isinstance(chosen, list) else [*said, *better]
            changes["preferred answer taken"] += 1
        system = text_of(cell(value, roles, "system"), "system", changes)
        if system:
            said.insert(0, {"role": "system", "content": system})
        return in_turn(said, changes)
