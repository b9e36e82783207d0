"""Fitting a sequence into rows of at most `max_length` tokens, with nothing lost unseen."""

from dataclasses import dataclass

from kollama2.model.chat import IGNORED, Encoded


@dataclass(frozen=True, slots=True)
class Fitted:
    """The rows of one example and what was done to it.

    A row is its ids, its labels and its share of the example's tokens; `reason` says why there is
    none.
    """

    rows: tuple[tuple[list[int], list[int], float], ...]
    change: str = ""
    reason: str = ""


def fit_text(encoded: Encoded, max_length: int) -> Fitted:
    """Split running text into rows of `max_length`; the rows together hold every token.

    A row of one token could teach nothing, so the row before it gives it one of its own.
    """
    ids, labels = encoded.ids, encoded.labels
    starts = list(range(0, len(ids), max_length))
    if len(starts) > 1 and len(ids) - starts[-1] == 1:
        starts[-1] -= 1
    ends = [*starts[1:], len(ids)]
    rows = tuple(
        (ids[start:end], labels[start:end], (end - start) / len(ids))
        for start, end in zip(starts, ends, strict=True)
    )
    return Fitted(rows, "documents split" if len(rows) > 1 else "")


def fit_prompt(
    prompt: list[int], answer: int, max_length: int, begins: int = 0
) -> list[int] | None:
    """Cut a prompt from the left until an answer fits behind it; None where nothing would be left.

    Args:
        prompt: its ids.
        answer: tokens of the longest answer behind it.
        max_length: tokens of both.
        begins: how many ids stay at the beginning (1 for BOS), whatever is cut behind them.
    """
    room = max_length - answer
    if len(prompt) <= room:
        return prompt
    room -= begins
    return [*prompt[:begins], *prompt[-room:]] if room > 0 else None


def fit_chat(encoded: Encoded, max_length: int) -> Fitted:
    """Shorten a chat: drop whole trailing turns, else cut its first answer before its EOS."""
    if encoded.reason:
        return Fitted((), reason=encoded.reason)
    total = len(encoded.ids)
    end, change = total, ""
    if total > max_length:
        whole = [at for at in encoded.ends if at <= max_length]
        end = whole[-1] if whole else max_length
        change = "trailing turns dropped" if whole else "answers cut"
    ids, labels = encoded.ids[:end], encoded.labels[:end]
    # The first token is predicted from nothing, so a label there teaches nothing.
    if all(label == IGNORED for label in labels[1:]):
        return Fitted((), reason=f"no answer within {max_length} tokens")
    return Fitted(((ids, labels, end / total),), change)
