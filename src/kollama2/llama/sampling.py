"""Choosing the next token: temperature and nucleus sampling (Holtzman et al., arXiv 1904.09751)."""

import torch

from kollama2.llama.faults import Unmet

# Sorting a whole vocabulary takes longer than a small model's step. These are nearly always enough;
# where they hold no more than the mass, all are sorted, so that the set is the same.
_FEW = 256


def choose(logits: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """Choose one token for each row.

    Args:
        logits: (rows, vocabulary).
        temperature: divides the logits; 0 or less takes the most probable token.
        top_p: see `sample_top_p`.

    Returns:
        (rows,) ids. All rows draw from torch's one stream of random numbers, so that a row's text
        depends on the rows beside it, as in the reference.
    """
    if temperature <= 0:
        return logits.argmax(-1)
    probs = torch.softmax(logits.float() / temperature, dim=-1)
    return sample_top_p(probs, top_p)[:, 0]


def sample_top_p(probs: torch.Tensor, p: float) -> torch.Tensor:
    """Sample from the smallest set of tokens whose probabilities exceed `p`.

    A token stays while the sum before it is at most `p`: 0 keeps the first alone, 1 keeps all.

    Args:
        probs: (rows, vocabulary), each row summing to one.
        p: mass to keep.

    Returns:
        (rows, 1) ids.

    Raises:
        Unmet: `p` is negative, so that nothing could be kept.
    """
    if not p >= 0:
        raise Unmet(f"top_p is {p}; it must be between 0 and 1")
    kept, ids = nucleus(probs, torch.full_like(probs[:, 0], p))
    drawn = torch.multinomial(kept / kept.sum(-1, keepdim=True), 1)
    return ids.gather(-1, drawn)


def nucleus(probs: torch.Tensor, mass: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The most probable tokens of each row, those beyond its mass with a probability of 0.

    Args:
        probs: (rows, vocabulary), each row summing to one.
        mass: (rows,) as `p` of `sample_top_p`.

    Returns:
        (rows, tokens) probabilities in falling order, and their ids; at least all that are kept.
    """
    ordered, ids = probs.topk(min(_FEW, probs.shape[-1]))
    if ordered.shape != probs.shape and bool((ordered.sum(-1) <= mass).any()):
        ordered, ids = probs.sort(dim=-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    return ordered.masked_fill(before > mass[:, None], 0.0), ids


def log_probability(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Natural logarithm of each token's probability by the raw logits.

    Args:
        logits: (..., vocabulary).
        tokens: (...) ids.
    """
    chosen = logits.float().gather(-1, tokens.unsqueeze(-1))[..., 0]
    return chosen - logits.float().logsumexp(-1)
