"""What is done with every family: the columns of the table, and which of them are quick."""

from collections.abc import Callable, Mapping

from tests.families.chats import complete, template
from tests.families.family import Family
from tests.families.scoring import evaluate, packed
from tests.families.training import convert, full, kill_and_resume, lora, merge, qlora
from tests.families.vocabularies import expand, prune

COLUMNS: Mapping[str, Callable[[Family], None]] = {
    "own template": template,
    "full": full,
    "LoRA": lora,
    "QLoRA": qlora,
    "kill and resume": kill_and_resume,
    "evaluate": evaluate,
    "expand": expand,
    "prune": prune,
    "merge": merge,
    "convert": convert,
    "complete": complete,
    "packed = alone": packed,
}
QUICK = ("own template",)
