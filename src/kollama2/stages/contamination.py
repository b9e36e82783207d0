"""Contamination: which items of a suite, and which few-shot examples, training data hold.

A stage of its own, so that the result of an evaluation never depends on data that it only reads
about: the same model keeps its scores, whatever they are compared with.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from kollama2.engine.stage import Stage, Work
from kollama2.evaluation.suite import Suite
from kollama2.locale import mark
from kollama2.stages.source import Source, contents, examples


class Contamination(Stage):
    """The items and few-shot examples of a suite that stand in training data.

    Attributes:
        suite: the suite; its `data` are uris.
        data: the source of each uri of the suite.
        training: all that a recipe could have learned from, whether or not its budget reached it.
    """

    kind: Literal["contamination"] = "contamination"
    version: ClassVar[int] = 5
    suite: Suite
    data: dict[str, Source]
    training: tuple[Source, ...]

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write `seen.jsonl`: every flagged item with the share of its letters that was found."""
        import json

        from kollama2.evaluation.contamination import contamination, wanted
        from kollama2.evaluation.copies import FLAGGED
        from kollama2.evaluation.items import suite_items

        places = contents(work, self.data)
        items = suite_items(self.suite.resolved(places.__getitem__))
        found = contamination(
            wanted(items),
            (_text(one) for source in self.training for one in examples(work, source)),
            lambda documents, characters: work.progress(documents, 0, mark("documents")),
        )
        with (work.out / "seen.jsonl").open("w", encoding="utf-8") as lines:
            for item in found.items:
                if item.flagged:
                    record = {
                        "task": item.task,
                        "item": item.id,
                        "share": round(item.share, 6),
                        "flagged": item.flagged,
                    }
                    lines.write(json.dumps(record, ensure_ascii=False) + "\n")
        return {
            "counts": found.counts(),
            "documents": found.documents,
            "characters": found.characters,
            "threshold": FLAGGED,
            "suite": items.suite,
        }


def _text(example: Any) -> str:
    """The text of a row: the turns of a chat one after another, both sides of a pair.

    Of a preference both answers, because both are read.
    """
    said = [*example.messages, *filter(None, [example.rejected])]
    turns = [part for turn in said for part in (turn["content"], turn.get("input", ""))]
    return "\n".join([example.text, *turns])
