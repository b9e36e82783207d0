"""Derive: text between two languages, made from aligned pairs of another source."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from kollama2.engine.stage import Stage, Work
from kollama2.stages.source import Source, content, examples

Made = Literal["translations", "bilingual-documents", "switched-sentences", "switched-words"]


class Derive(Stage):
    """A source that is made from another, for curricula.

    Attributes:
        make: pairs as text in both directions, runs of pairs as bilingual documents, documents
            with some English sentences, or Korean sentences with some English words.
        pairs: aligned pairs.
        text: Korean text whose words are switched; the Korean side of the pairs by default.
        share: of the sentences or known words that become English.
        seed: which.
    """

    kind: Literal["derive"] = "derive"
    version: ClassVar[int] = 3
    make: Made
    pairs: Source
    text: Source | None = None
    share: float = Field(0.5, ge=0, le=1)
    seed: int = 0

    preload: ClassVar[tuple[str, ...]] = ("pyarrow.parquet",)
    form: ClassVar[str] = "text"
    columns: ClassVar[tuple[tuple[str, str], ...]] = ()

    @property
    def place(self) -> Path | None:
        """Where the pairs lie on this machine, if that is known."""
        return self.pairs.place

    @property
    def uri(self) -> str:
        """What a person calls it."""
        return f"{self.make} of {self.pairs.uri}"

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write `content/derived.jsonl`, one text a row."""
        from kollama2.data import codeswitch
        from kollama2.errors import BadData

        def pairs() -> Iterator[codeswitch.Pair]:
            return codeswitch.read_pairs(content(work.path(self.pairs)), dict(self.pairs.columns))

        if self.make == "translations":
            texts = codeswitch.translations(pairs(), self.seed)
        elif self.make == "bilingual-documents":
            texts = codeswitch.bilingual_documents(pairs())
        elif self.make == "switched-sentences":
            texts = codeswitch.switched_sentences(pairs(), self.share, self.seed)
        else:
            words = codeswitch.dictionary(list(islice(pairs(), 1_000_000)))
            texts = codeswitch.switched_words(
                self._korean(work, pairs()), words, self.share, self.seed
            )
        rows = size = 0
        (work.out / "content").mkdir(exist_ok=True)
        with (work.out / "content" / "derived.jsonl").open("w", encoding="utf-8") as file:
            for text in texts:
                file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
                rows, size = rows + 1, size + len(text.encode())
        if not rows:
            raise BadData(f"{self.uri}: nothing can be made of these pairs")
        return {"rows": rows, "bytes": size}

    def _korean(self, work: Work, pairs: Iterator[tuple[str, str]]) -> Iterator[str]:
        if self.text is None:
            yield from (korean for _, korean in pairs)
            return
        for one in examples(work, self.text):
            yield from "\n".join(one.contents()).split("\n")
