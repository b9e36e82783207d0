"""The guard: asks every classifier, fails closed, and holds a stream back until it was judged."""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late  # Python 3.10 has two of them

from kollama2.safety.verdict import Classifier, Dialog, Side, Verdict

REFUSAL_KO = "죄송합니다. 이 내용에는 답변드릴 수 없습니다."
REFUSAL_EN = "Sorry, I cannot answer that."


def refusal(text: str) -> str:
    """The answer in place of an unsafe one, in the language of the user's text."""
    return REFUSAL_KO if re.search("[ㄱ-ㅣ가-힣]", text) else REFUSAL_EN


class Unsafe(Exception):
    """A stream was stopped because of its verdict.

    Attributes:
        verdict: the first that was not safe.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"stopped by {verdict.by}: {verdict.reason or 'unsafe'}")
        self.verdict = verdict


class Guard:
    """Classifiers in front of a model and behind it.

    A classifier that raises or takes too long has judged the text unsafe: fail closed.

    Args:
        classifiers: all of them must agree that a text is safe.
        timeout: seconds for one judgement.
        every: characters of an answer between two judgements.
        hold: last characters of an answer that are kept until it is judged further; an unsafe
            span of up to this length is not shown at all.
    """

    def __init__(
        self,
        classifiers: Sequence[Classifier],
        *,
        timeout: float = 10.0,
        every: int = 24,
        hold: int = 48,
    ) -> None:
        self.classifiers = tuple(classifiers)
        self._timeout, self._every, self._hold = timeout, every, hold
        self._pool = ThreadPoolExecutor(max(1, len(self.classifiers)), "safety")

    def judge(self, dialog: Dialog, side: Side) -> Verdict:
        """Judge the last message of a dialog.

        Returns:
            The first verdict that is not safe, else the one with the highest score.
        """
        asked = [(one, self._pool.submit(one.judge, dialog, side)) for one in self.classifiers]
        verdicts = []
        for classifier, future in asked:
            try:
                verdicts.append(future.result(self._timeout))
            except Late:
                future.cancel()
                reason = f"no judgement within {self._timeout:g} seconds"
                verdicts.append(Verdict(False, 1.0, classifier.name, reason))
            except Exception as error:  # whatever it was, the text was not judged
                reason = f"no judgement: {type(error).__name__}"
                verdicts.append(Verdict(False, 1.0, classifier.name, reason))
        if not verdicts:
            return Verdict(False, 1.0, "guard", "there is no classifier")
        return max(verdicts, key=lambda one: (not one.safe, one.score))

    def screen(self, dialog: Dialog, pieces: Iterable[str]) -> Iterator[str]:
        """Pass a stream of text on, each part only after it was judged with what follows it.

        The text is judged at fixed numbers of characters, so that how it is cut into pieces
        changes neither a verdict nor what is shown before one.

        Args:
            dialog: the messages that are answered.
            pieces: the answer as it comes.

        Yields:
            Judged text.

        Raises:
            Unsafe: the answer is not safe; nothing more of it is given out.
        """
        held = self.held(dialog)
        for piece in pieces:
            yield from held.add(piece)
        yield from held.end()

    def held(self, dialog: Dialog) -> "Held":
        """What screens one answer of a dialog."""
        return Held(self, dialog, self._every, self._hold)


class Held:
    """An answer that is given out as it is judged; made by `Guard.held`.

    Args:
        guard: who judges.
        dialog: the messages that are answered.
        every: as for the guard.
        hold: as for the guard.
    """

    def __init__(self, guard: Guard, dialog: Dialog, every: int, hold: int) -> None:
        self._guard, self._dialog, self._every, self._hold = guard, dialog, every, hold
        self._text, self._shown, self._judged = "", 0, 0

    def add(self, piece: str) -> Iterator[str]:
        """Take in more of the answer and yield what may be shown by now.

        Raises:
            Unsafe: the answer is not safe; nothing more of it may be given out.
        """
        self._text += piece
        while self._judged + self._every <= len(self._text):
            self._judged += self._every
            self._require(self._text[: self._judged])
            if self._judged - self._hold > self._shown:
                yield self._text[self._shown : self._judged - self._hold]
                self._shown = self._judged - self._hold

    def end(self) -> Iterator[str]:
        """Yield what was held back; raises as `add`."""
        if self._text:
            self._require(self._text)
        if self._shown < len(self._text):
            yield self._text[self._shown :]

    def _require(self, answer: str) -> None:
        verdict = self._guard.judge(
            [*self._dialog, {"role": "assistant", "content": answer}], "output"
        )
        if not verdict.safe:
            raise Unsafe(verdict)
