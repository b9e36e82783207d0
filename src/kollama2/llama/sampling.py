"""Choosing the next token: temperature and nucleus sampling (Holtzman et al., arXiv 1904.09751)."""

import torch

from kollama2.llama.faults import Unmet

# Sorting a whole vocabulary takes longer than a small model's step. These are nearly always enough;
# where they hold no more than the mass, all are sorted, so that the set is the same.
_FEW = 256


def choose(
    logits: torch.Tensor,
    temperature: float,
    top_p: float,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Choose one token for each row.

    Args:
        logits: (rows, vocabulary).
        temperature: divides the logits; 0 or less takes the most probable token.
        top_p: see `sample_top_p`.
        generator: whose random numbers are drawn; None for torch's one stream of them.

    Returns:
        (rows,) ids. All rows draw from one stream, so that a row's text depends on the rows beside
        it, as in the reference.
    """
    if temperature <= 0:
        return logits.argmax(-1)
    probs = torch.softmax(logits.float() / temperature, dim=-1)
    return _drawn(probs, top_p, generator)[:, 0]


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
    return _drawn(probs, p, None)


def _drawn(probs: torch.Tensor, p: float, generator: torch.Generator | None) -> torch.Tensor:
    if not p >= 0:
        raise Unmet(f"top_p is {p}; it must be between 0 and 1")
    ordered, ids = probs.topk(min(_FEW, probs.shape[-1]))
    if ordered.shape != probs.shape and bool((ordered.sum(-1) <= p).any()):
        ordered, ids = probs.sort(dim=-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    kept = ordered.masked_fill(before > p, 0.0)
    drawn = torch.multinomial(kept / kept.sum(-1, keepdim=True), 1, generator=generator)
    return ids.gather(-1, drawn)


def log_probability(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Natural logarithm of each token's probability by the raw logits.

    Args:
        logits: (..., vocabulary).
        tokens: (...) ids.
    """
    chosen = logits.float().gather(-1, tokens.unsqueeze(-1))[..., 0]
    return chosen - logits.float().logsumexp(-1)
