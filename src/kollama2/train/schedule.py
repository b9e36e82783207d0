"""The learning rate as a function of the step alone."""

import math

from kollama2.train.settings import TrainSettings


def factor(step: int, steps: int, settings: TrainSettings) -> float:
    """The learning rate at `step` (from 0) of `steps`, as a share of the highest.

    The warm-up rises from 1/n to 1 in n steps. Then `constant` stays; `linear` and `cosine` fall to
    almost zero at the last step; `wsd` stays and in the last `decay` of the steps falls as
    1 - sqrt(x) (Hägele et al. 2024, arXiv 2405.18392). `decay` is that fall alone: a training that
    starts from the result of a constant one is the same as a wsd whose trunk can be used again,
    but for the optimiser's moments, which begin anew. `inverse_sqrt` falls as the root of the step
    does (Vaswani et al. 2017, arXiv 1706.03762): after n steps of warm-up it is sqrt(n / step).
    """
    rising = math.ceil(settings.warmup * steps)
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    if settings.schedule == "linear":
        return 1 - done
    if settings.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if settings.schedule == "wsd":
        falling = math.ceil(settings.decay * steps)
        return 1 - math.sqrt(max(0, step - (steps - falling)) / falling)
    if settings.schedule == "decay":
        return 1 - math.sqrt(done)
    if settings.schedule == "inverse_sqrt":
        return math.sqrt(rising / step)
    return 1.0
