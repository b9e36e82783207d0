"""What every measure means: its unit, its direction and one line that explains it.

Ours are declared here. Those of lm-eval bring what their task's file says; it is recorded with the
evaluation, and whoever reads the records asks for it, so nothing is guessed from a name.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

MeasureName = Literal[
    "bpb",
    "gain",
    "pmi_en_ko",
    "pmi_ko_en",
    "p_gold",
    "accuracy",
    "acc",
    "acc_bytes",
    "acc_norm",
    "margin",
    "brier",
    "loglikelihood",
    "spearman",
    "exact",
    "extracted",
    "follows",
    "kept",
    "chrf_en_ko",
    "chrf_ko_en",
    "copy_gain",
    "recall",
    "context_gain",
    "points",
    "fidelity",
    "hangul_share",
    "line_pass",
    "mixed_script",
    "invalid_utf8",
    "repetition",
    "eos",
    "empty",
    "foreign",
    "stock",
    "echo",
    "leak",
    "loop",
    "gibberish",
]


class Measure(NamedTuple):
    """A measure: `higher` says whether more is better; None where nobody has declared it."""

    title: str
    unit: str
    higher: bool | None
    explanation: str

    @property
    def better(self) -> str:
        """The direction in a word: higher, lower or unknown."""
        return better(self.higher)

    def declared(self) -> dict[str, Any]:
        """What an evaluation records of it."""
        return {"title": self.title, "unit": self.unit, "higher": self.higher}


MEASURES: dict[str, Measure] = {
    "bpb": Measure(
        "bits per byte",
        "bits/byte",
        False,
        "How many bits the model needs for one UTF-8 byte of text it has not seen.",
    ),
    "gain": Measure(
        "instruction gain",
        "bits/byte",
        True,
        "Bits per byte that the right instruction saves on its answer, against a wrong one.",
    ),
    "pmi_en_ko": Measure(
        "translation, English to Korean",
        "bits/byte",
        True,
        "Bits per byte that the English source saves on its Korean translation.",
    ),
    "pmi_ko_en": Measure(
        "translation, Korean to English",
        "bits/byte",
        True,
        "Bits per byte that the Korean source saves on its English translation.",
    ),
    "p_gold": Measure(
        "probability of the right choice",
        "share",
        True,
        "Softmax of the choices' log-likelihoods per byte, at the right choice.",
    ),
    "accuracy": Measure(
        "accuracy",
        "share",
        True,
        "How often the right choice has the highest log-likelihood per byte; ties count in part.",
    ),
    "acc": Measure(
        "accuracy by sums",
        "share",
        True,
        "How often the right choice has the highest log-likelihood; short choices are favoured.",
    ),
    "acc_bytes": Measure(
        "accuracy per byte",
        "share",
        True,
        "How often the right choice has the highest log-likelihood per byte.",
    ),
    "acc_norm": Measure(
        "accuracy per character",
        "share",
        True,
        "How often the right choice has the highest log-likelihood per character.",
    ),
    "margin": Measure(
        "margin",
        "bits/byte",
        True,
        "Log-likelihood per byte of the right choice over the best wrong one.",
    ),
    "brier": Measure(
        "Brier score",
        "0..2",
        False,
        "Squared distance between the choices' probabilities and the truth.",
    ),
    "loglikelihood": Measure(
        "log-likelihood",
        "nats",
        True,
        "Of the right continuation; lm-eval's perplexity is exp of its mean, negated.",
    ),
    "spearman": Measure(
        "rank correlation",
        "-1..1",
        True,
        "Spearman's correlation of expected ratings with people's; 0 for a model that guesses.",
    ),
    "chrf_en_ko": Measure(
        "chrF++, English to Korean", "0..100", True, "Character and word n-grams of the reference."
    ),
    "chrf_ko_en": Measure(
        "chrF++, Korean to English", "0..100", True, "Character and word n-grams of the reference."
    ),
    "copy_gain": Measure(
        "copying",
        "bits/byte",
        True,
        "Bits per byte that a list of made-up words saves when it is repeated.",
    ),
    "recall": Measure(
        "looking up",
        "share",
        True,
        "Probability of the answer that the context gave to the same question before.",
    ),
    "context_gain": Measure(
        "use of the context",
        "bits/byte",
        True,
        "Bits per byte that the first half of a text saves on its second half.",
    ),
    "points": Measure(
        "points", "0..100", True, "Mean of tasks, each from 0 at chance to 100 at perfect."
    ),
    "exact": Measure(
        "exact match",
        "share",
        True,
        "Answers whose extracted letter or number is right; without one an answer is wrong.",
    ),
    "extracted": Measure(
        "answers found",
        "share",
        True,
        "Answers in which a letter or number could be found by the stated rule.",
    ),
    "follows": Measure(
        "instructions followed", "share", True, "Answers that keep every rule of their instruction."
    ),
    "kept": Measure("rules kept", "share", True, "Rules of all instructions that were kept."),
    "fidelity": Measure(
        "language fidelity",
        "share",
        True,
        "Answers in the language that was asked for, without echoes, loops and other faults.",
    ),
    "hangul_share": Measure("Hangul share", "share", True, "Hangul among the answer's letters."),
    "line_pass": Measure(
        "Korean lines", "share", True, "Lines of the answer that are no prose in another language."
    ),
    "mixed_script": Measure(
        "mixed-script words",
        "share",
        False,
        "Words that mix Hangul with another script inside (한국en).",
    ),
    "invalid_utf8": Measure(
        "broken characters",
        "share",
        False,
        "Answers with bytes that form no character (broken byte fallback).",
    ),
    "repetition": Measure(
        "repetition", "share", False, "Repeated 6-grams among the answer's 6-grams of letters."
    ),
    "eos": Measure("ends by itself", "share", True, "Answers that stop before the length limit."),
    "empty": Measure("empty answers", "share", False, "Answers without a letter, digit or emoji."),
    "foreign": Measure(
        "not in Korean", "share", False, "Answers with a line of prose in another language."
    ),
    "stock": Measure(
        "stock phrases", "share", False, "Answers that mostly say what many others of the task say."
    ),
    "echo": Measure("echoes", "share", False, "Answers that are the question, or most of it."),
    "leak": Measure(
        "leaked marks", "share", False, "Answers with marks of a chat template ([/INST])."
    ),
    "loop": Measure(
        "loops", "share", False, "Answers that repeat themselves, whatever counts the repetitions."
    ),
    "gibberish": Measure(
        "gibberish", "share", False, "Answers whose syllables or words stand in no order."
    ),
}


def better(higher: bool | None) -> str:
    """Which scores are better, in a word: higher, lower or unknown."""
    return "unknown" if higher is None else "higher" if higher else "lower"


def foreign(name: str, higher: bool | None = None, unit: str = "") -> Measure:
    """A measure of lm-eval's, in the direction that its task declares."""
    return Measure(name, unit, higher, "A metric of lm-eval; see its task's file.")


def measure(
    full_name: str, recorded: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> Measure:
    """The measure behind a full name such as `text-ko/bpb`.

    Args:
        full_name: task and measure.
        recorded: what the evaluation says of its measures (`measures` of its record). A name that
            is neither there nor among ours has no direction.
    """
    name = full_name.rpartition("/")[2]
    said = recorded.get(full_name)
    if said is None:
        return MEASURES.get(name) or foreign(name)
    found = foreign(said["title"], said["higher"], said["unit"])
    own = MEASURES.get(name)
    if own and own.title == found.title:
        found = found._replace(explanation=own.explanation)
    return found
