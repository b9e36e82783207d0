"""Build: the stages of one recipe, from its steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kollama2.data.curriculum import Curriculum
from kollama2.engine.document import Document, near
from kollama2.stages import (
    Derive,
    Encode,
    ExpandBlocks,
    ExpandTokenizer,
    ExpandVocab,
    Fresh,
    Merge,
    ModelStage,
    Order,
    Prefer,
    Probe,
    PruneTokenizer,
    PruneVocab,
    Source,
    Train,
)
from kollama2.stages.encode import MixturePart
from kollama2.stages.order import Knot
from kollama2.study.locate import Locator
from kollama2.study.schema import MADE, SourceSpec
from kollama2.study.steps import (
    BlockStep,
    MergeStep,
    PreferStep,
    PruneStep,
    Step,
    TrainStep,
    VocabStep,
)
from kollama2.vocab.settings import NEEDS_TEXT


@dataclass(frozen=True)
class Recipe:
    """A recipe before seeds: named options, their steps and the sources these name.

    `limit` is how many rows of each source a training takes; None: all.
    """

    recipe: str
    options: Mapping[str, str]
    steps: tuple[Step, ...]
    sources: Mapping[str, SourceSpec]
    template: str
    limit: int | None = None


def build(
    path: Recipe, start: Source | Fresh, seed: int, locator: Locator, document: Document
) -> ModelStage:
    """The stages of a recipe with one seed; `start` itself when it has no steps.

    Raises:
        BadUsage: a step names a source that the recipe does not have.
    """
    return _Builder(path, start, locator, document).model(path.steps, seed)


@dataclass(frozen=True)
class _Builder:
    """What every step of a recipe needs."""

    path: Recipe
    start: Source | Fresh
    locator: Locator
    document: Document

    def model(self, steps: Sequence[Step], seed: int) -> ModelStage:
        """The model that these steps make of the start."""
        model: ModelStage = self.start
        for number, step in enumerate(steps):
            match step:
                case TrainStep():
                    model = self._trained(step, model, seed)
                case VocabStep():
                    model = self._expanded(step, model)
                case PruneStep():
                    tokenizer = PruneTokenizer(
                        tokenizer=model.tokenizer_stage, settings=step.settings
                    )
                    model = PruneVocab(model=model, tokenizer=tokenizer)
                case PreferStep():
                    model = Prefer(
                        model=model,
                        data=self._plain(step.data),
                        pairs=self._plain(step.pairs) if step.pairs else None,
                        template=step.template or self.path.template,
                        settings=step.settings.model_copy(update={"seed": seed}),
                    )
                case BlockStep():
                    model = ExpandBlocks(model=model, every=step.every)
                case MergeStep():
                    model = self._merged(step, model, steps[:number], seed)
        return model

    def _trained(self, step: TrainStep, model: ModelStage, seed: int) -> Train:
        rows: Encode | Order
        settings, probe = step.settings, None
        if step.phases is None:
            rows = self._encoded(step, model, step.data)
        else:
            rows = self._ordered(step, step.phases, model, seed)
            spent = {"bytes": None, "korean_bytes": None, "epochs": 1, "order": "given"}
            settings = settings.model_validate({**settings.model_dump(), **spent})
        if step.rates is not None:
            tried = rows if step.phases is None else self._ordered(step, step.phases, model, 0)
            # The probe starts from the first seed's model, so that all seeds share its answer.
            probe = Probe(
                model=model,
                rows=tried,
                settings=settings,
                candidates=step.rates.probe,
                share=step.rates.share,
            )
        calibration = None
        if step.calibration is not None:
            calibration = self._encoded(step, model, {step.calibration: 1.0})
        return Train(
            kind=step.kind,
            model=model,
            rows=rows,
            settings=settings.model_copy(update={"seed": seed}),
            probe=probe,
            calibration=calibration,
        )

    def _encoded(self, step: TrainStep, model: ModelStage, data: Mapping[str, float]) -> Encode:
        parts = [
            MixturePart(source=self._data(name), weight=weight) for name, weight in data.items()
        ]
        return Encode(
            data=tuple(parts),
            tokenizer=model.tokenizer_stage,
            template=step.template or ("plain" if step.kind == "pretrain" else self.path.template),
            max_length=step.max_length,
            loss=step.loss,
            limit=self.path.limit,
        )

    def _ordered(self, step: TrainStep, plan: Curriculum, model: ModelStage, seed: int) -> Order:
        knots = zip(plan.at, plan.shares, strict=True)
        return Order(
            names=plan.names,
            rows=tuple(self._encoded(step, model, {name: 1.0}) for name in plan.names),
            knots=tuple(Knot(at=at, shares=shares) for at, shares in knots),
            order=step.order,
            difficulty=step.difficulty,
            start=step.start,
            bytes=step.bytes,
            korean_bytes=step.korean_bytes,
            mix_by=step.mix_by,
            seed=seed,
        )

    def _expanded(self, step: VocabStep, model: ModelStage) -> ExpandVocab:
        corpus = []
        for name in step.corpus:
            source = self._data(name)
            if isinstance(source, Derive):
                raise self.document.fault(
                    ("sources", name), f"new pieces are learned from text itself, not {source.uri}"
                )
            corpus.append(source)
        tokenizer = ExpandTokenizer(
            tokenizer=model.tokenizer_stage, corpus=tuple(corpus), settings=step.pieces
        )
        read = tuple(corpus) if step.init in NEEDS_TEXT else ()
        return ExpandVocab(model=model, tokenizer=tokenizer, settings=step.rows, corpus=read)

    def _merged(
        self, step: MergeStep, model: ModelStage, before: Sequence[Step], seed: int
    ) -> Merge:
        others = [
            self.locator.source(self._spec(one), "model")
            if isinstance(one, str)
            else self.model(one, seed)
            for one in step.others
        ]
        # Seeds of further copies are far from those of a study, so that no cell is mixed in twice.
        further = [(seed + 1000 * copy) % 2**32 for copy in range(1, step.copies)]
        others += [self.model(before, one) for one in further]
        if step.method == "shadow-ft":
            model, others = others[0], [model]
        return Merge(
            model=model,
            others=tuple(others),
            base=self.start if step.needs_base else None,
            settings=step.settings,
            template=self.path.template,
        )

    def _data(self, name: str) -> Source | Derive:
        spec = self._spec(name)
        if not spec.uri.startswith("made:"):
            return self.locator.source(spec, "data")
        make = next(one for one in MADE if spec.uri == f"made:{one}")
        assert spec.pairs is not None, "checked by the schema"
        return Derive(
            make=make,
            pairs=self._plain(spec.pairs),
            text=self._plain(spec.text) if spec.text else None,
            share=spec.switched,
            seed=spec.seed,
        )

    def _plain(self, name: str) -> Source:
        """A source that is not made of another."""
        spec = self._spec(name)
        if spec.uri.startswith("made:"):
            raise self.document.fault(("sources", name), f"{name} is itself made; name its pairs")
        return self.locator.source(spec, "data")

    def _spec(self, name: str) -> SourceSpec:
        known = self.path.sources
        if name not in known:
            raise self.document.fault(
                ("sources",),
                f"recipe {self.path.recipe!r} names the source {name!r}; {near(name, list(known))}",
            )
        return known[name]
