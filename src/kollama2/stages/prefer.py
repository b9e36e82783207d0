"""Prefer: a model tuned on pairs of a better and a worse answer."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kollama2.data.lines import Reject, sample_of
from kollama2.engine.stage import Work
from kollama2.errors import BadData
from kollama2.stages.costly import BYTES_PER_TOKEN, Costly, Count, bytes_at_hand
from kollama2.stages.models import ChangedModel
from kollama2.stages.source import Source, content, examples
from kollama2.train.preference_settings import PreferSettings
from kollama2.train.settings import TrainSettings

if TYPE_CHECKING:
    from kollama2.data.forms import Example
    from kollama2.model.chat import ChatEncoder
    from kollama2.train.prefer import PairIds


class Prefer(ChangedModel, Costly):
    """A model that has learned preferences.

    Attributes:
        model: where tuning starts; it is the reference too.
        data: rows with `chosen` and `rejected`, or Korean instructions.
        settings: everything that decides the result.
        pairs: aligned pairs; with them pairs (Korean over mixed) are built from instructions.
        template: how a chat is written.
    """

    kind: Literal["prefer"] = "prefer"
    version: ClassVar[int] = 3
    data: Source
    settings: PreferSettings
    pairs: Source | None = None
    template: str = "own"

    preload: ClassVar[tuple[str, ...]] = ("kollama2.train.prefer",)
    reference: ClassVar[bool] = True

    @property
    def training(self) -> TrainSettings:
        """The training that it is."""
        return self.settings.training()

    @property
    def reads(self) -> Sequence[Source]:
        """The preferences, or the instructions that they are made from."""
        return (self.data,)

    def tokens(self, count: Count) -> int | None:
        """Of both answers, each with its prompt, at their longest where steps are counted."""
        chosen = self.settings
        if chosen.steps is not None:
            return 2 * chosen.steps * chosen.batch * chosen.max_length
        size = bytes_at_hand(self.reads)
        return None if size is None else round((chosen.epochs or 1) * 2 * size / BYTES_PER_TOKEN)

    def run(self, work: Work) -> Mapping[str, Any]:
        """Encode the pairs and tune; write `model/`, `metrics.jsonl` and `rejected.jsonl`.

        Raises:
            BadData: the data cannot be read, or no pair is left.
        """
        from kollama2.model.folder import ModelFolder
        from kollama2.train.prefer import prefer

        folder = self.model.folder(work)
        encoder = ModelFolder.read(folder).encoder(self.template)
        counts = Counter({"in": 0, "kept": 0, "rejected": 0})
        reasons: Counter[str] = Counter()
        pairs = []
        with (work.out / "rejected.jsonl").open("w", encoding="utf-8") as rejected:
            for one in self._preferences(work):
                counts["in"] += 1
                found = one if isinstance(one, Reject) else self._encoded(encoder, one, counts)
                if isinstance(found, Reject):
                    reasons[found.reason] += 1
                    rejected.write(json.dumps(asdict(found), ensure_ascii=False) + "\n")
                else:
                    pairs.append(found)
        counts["kept"], counts["rejected"] = len(pairs), reasons.total()
        if not pairs:
            why = "; ".join(f"{n} x {reason}" for reason, n in reasons.most_common(3)) or "no rows"
            raise BadData(
                f"{self.data.uri}: no pair of two answers is left to learn from ({why}); mend the "
                "rows or raise max_length"
            )
        figures = prefer(
            self.settings,
            pairs,
            model=folder,
            out=work.out,
            scratch=work.scratch,
            template=encoder.template,
            resources=work.resources,
            progress=work.progress,
        )
        return {
            "sources": [{"path": self.data.uri.rpartition(":")[2]}],
            "max_length": self.settings.max_length,
            "counts": dict(counts),
            "reasons": dict(reasons.most_common()),
            **figures,
        }

    def _preferences(self, work: Work) -> "Iterator[Example | Reject]":
        from kollama2.data import codeswitch, preferences
        from kollama2.data.read import read

        if self.pairs is None:
            place, form = content(work.path(self.data)), self.data.form or "preference"
            yield from preferences.preferences(read(place, form, dict(self.data.columns)))
            return
        aligned = codeswitch.read_pairs(content(work.path(self.pairs)), dict(self.pairs.columns))
        words = codeswitch.dictionary(list(aligned))
        instructions = examples(work, self.data)
        yield from preferences.prefer_korean(instructions, words, seed=self.settings.seed)

    def _encoded(
        self, encoder: "ChatEncoder", one: "Example", counts: Counter[str]
    ) -> "PairIds | Reject":
        """The ids of a pair within `max_length`; a prompt that is cut is counted."""
        from kollama2.data.fit import fit_prompt

        assert one.rejected is not None, "rows that are no pair are rejected by the reader"
        try:
            prompt = encoder.prompt(one.prompt, one.tools)
            chosen, rejected = (
                encoder.encode([*one.prompt, answer], tools=one.tools).ids[len(prompt) :]
                for answer in (one.answer, one.rejected)
            )
        except BadData as error:
            return _reject(one, str(error))
        longest = self.settings.max_length
        begins = int(prompt[:1] == [encoder.tokenizer.bos_id])
        kept = fit_prompt(prompt, max(len(chosen), len(rejected)), longest, begins)
        if kept is None:
            return _reject(one, f"an answer leaves no room for its prompt in {longest} tokens")
        counts["prompts cut"] += len(kept) < len(prompt)
        return {"prompt_ids": kept, "chosen_ids": chosen, "rejected_ids": rejected}


def _reject(one: "Example", reason: str) -> Reject:
    return Reject(one.line, reason, sample_of(one.answer["content"]), one.file)
