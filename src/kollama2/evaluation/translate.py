"""Greedy translations in both directions, judged by chrF++ (sacrebleu)."""

from collections.abc import Sequence

from sacrebleu.metrics.chrf import CHRF
from torch import nn

from kollama2.evaluation.generate import answers
from kollama2.evaluation.likelihood import Outcome, Tools, user
from kollama2.evaluation.rows import Row
from kollama2.evaluation.suite import Translation


def translation(task: Translation, rows: Sequence[Row], tools: Tools, model: nn.Module) -> Outcome:
    """chrF++ (0 to 100) of each translation, and of the whole with sacrebleu's signature.

    An empty translation scores 0 and is counted as a failure. The records hold sentence-level
    chrF++; corpus-level chrF++, which papers quote, is in `corpus`.
    """
    outcome = Outcome(task.name, items=len(rows))
    cut: set[str] = set()
    for source, target, prompt in (("en", "ko", task.to_korean), ("ko", "en", task.to_english)):
        prompts = [
            tools.encoder.prompt(user(prompt.replace("{source}", row[source]))) for row in rows
        ]
        said = answers(prompts, tools, model, task.max_new_tokens)
        chrf = CHRF(word_order=2)
        pairs = []
        for row, one in zip(rows, said, strict=True):
            if one is None:
                cut.add(row["id"])
                continue
            text = one.text.strip()
            pairs.append((text, row[target]))
            score = chrf.sentence_score(text, [row[target]]).score
            outcome.add(row, f"chrf_{source}_{target}", score)
            outcome.empty += not text
            outcome.failed += not text or "\ufffd" in text
            outcome.samples.append(
                {
                    "task": task.name,
                    "item": f"{row['id']} {source}-{target}",
                    "prompt": row[source],
                    "answer": text,
                    "reference": row[target],
                    "tokens": len(one.ids),
                    "stopped": one.stopped,
                }
            )
        if pairs:
            hypotheses, references = zip(*pairs, strict=True)
            whole = chrf.corpus_score(list(hypotheses), [list(references)])
            outcome.corpus[f"chrf_{source}_{target}"] = {
                "score": whole.score,
                "signature": str(chrf.get_signature()),
            }
    outcome.truncated = len(cut)
    return outcome
