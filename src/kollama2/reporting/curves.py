"""Loss curves: one chart for each kind of training, one line for each trained model."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import altair as alt

from kollama2.reporting import spec
from kollama2.reporting.losses import owners, thinned
from kollama2.reporting.spec import LEGEND, Chart, Spec
from kollama2.reporting.study import Study, kind_of

PALETTE, DASHES = 8, ([1, 0], [6, 3], [2, 2])


def curves(study: Study, order: Sequence[str]) -> list[Chart]:
    """One chart for each kind of training; recipes that share a stage share its line."""
    kinds: dict[str, list[Spec]] = {}
    for name, whose in owners(study).items():
        lines = study.stages[name].lines("metrics.jsonl") if name in study.stages else ()
        for point in thinned(lines):
            kinds.setdefault(kind_of(name), []).append({**asdict(whose), "stage": name, **point})
    return [_curve(kind, data, order) for kind, data in kinds.items()]


def _curve(kind: str, data: list[Spec], order: Sequence[str]) -> Chart:
    by_tokens = all(one["tokens"] is not None for one in data)
    x = "tokens" if by_tokens else "step"
    shown = [recipe for recipe in order if any(one["recipe"] == recipe for one in data)]
    losses = [one["loss"] for one in data]
    base = alt.Chart().encode(
        x=alt.X(f"{x}:Q", title=f"@axis.{x}", axis=alt.Axis(format="~s", tickCount=5)),
        y=alt.Y(
            "loss:Q",
            title="@axis.loss",
            scale=alt.Scale(domain=spec.domain(losses, 0.04), nice=False, zero=False),
            axis=alt.Axis(tickCount=6),
        ),
        color=spec.color(order, spec.legend(shown)),
    )
    # After the palette's last colour it begins again, with dashes.
    dashes = [DASHES[max(0, place - 1) // PALETTE % len(DASHES)] for place in range(len(order))]
    line = base.mark_line(strokeWidth=1.3, opacity=0.85, interpolate="linear").encode(
        detail=["stage:N"],
        strokeDash=alt.StrokeDash(
            "recipe:N",
            legend=spec.legend(shown),
            scale=alt.Scale(domain=list(order), range=dashes),
        ),
    )
    tips = [alt.Tooltip("label:N", title="@tip.recipe"), spec.tip("seed"), spec.tip("loss", ".3f")]
    tips += [alt.Tooltip(f"{x}:Q", title=f"@tip.{x}", format=",")]
    dots = base.mark_circle(size=60, opacity=0.001).encode(tooltip=tips)
    drawn = spec.chart(f"curve-{kind}", alt.layer(line, dots), data, 320)
    return replace(drawn, height=drawn.height + LEGEND * -(-len(shown) // 5) + 10)
