"""CLIcK and KoCommonGEN v2 under names that the prompts use."""

from typing import Any

from datasets import Dataset

_LETTERS = ("A", "B", "C", "D", "E")


def click(docs: Dataset) -> Dataset:
    """A question with all of its options; a fifth one, where there is one, is shown and counts.

    A few questions name an answer that is not among their options; they are left out.
    """
    return Dataset.from_list([_question(doc) for doc in docs if doc["answer"] in doc["choices"]])


def _question(doc: dict[str, Any]) -> dict[str, Any]:
    choices = [str(one).strip() for one in doc["choices"]]
    passage = str(doc.get("paragraph") or "").strip()
    letters = list(_LETTERS[: len(choices)])
    return {
        "passage": f"{passage}\n\n" if passage else "",
        "question": str(doc["question"]).strip(),
        "options": "\n".join(
            f"{letter}. {one}" for letter, one in zip(letters, choices, strict=True)
        ),
        "letters": letters,
        "choices": choices,
        "gold": list(doc["choices"]).index(doc["answer"]),
    }


def commongen(docs: Dataset) -> Dataset:
    """Words, four sentences made of them, and the position of the one that makes sense."""
    return Dataset.from_list(
        [
            {
                "words": ", ".join(str(doc["concept_set"]).split("#")),
                "choices": [str(doc[str(number)]).strip() for number in (1, 2, 3, 4)],
                "gold": int(doc["gold"]) - 1,
            }
            for doc in docs
        ]
    )
