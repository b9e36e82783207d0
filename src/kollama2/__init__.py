"""kollama2: find the best way to teach an English LLM Korean, prove it, hand over the model."""

import importlib
import logging
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# bitsandbytes misses a package for a fused kernel that is never used here (see `model.load.nf4`),
# and says so in every process on CPUs that could have it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

if TYPE_CHECKING:
    from kollama2.api.adapt import adapt
    from kollama2.api.compute import Event
    from kollama2.api.evaluate import Comparison, Scores, compare, evaluate
    from kollama2.api.export import export
    from kollama2.api.frontier import Frontier, frontier
    from kollama2.api.listing import Listing, query, status
    from kollama2.api.plan import Plan, plan
    from kollama2.api.study import Result, report, run
    from kollama2.exporting.model import Exported
    from kollama2.model.folder import ModelFolder

__all__ = [
    "Comparison",
    "Event",
    "Exported",
    "Frontier",
    "Listing",
    "ModelFolder",
    "Plan",
    "Result",
    "Scores",
    "adapt",
    "compare",
    "evaluate",
    "export",
    "frontier",
    "plan",
    "query",
    "report",
    "run",
    "status",
]
_HOMES = {
    "api.adapt": ("adapt",),
    "api.compute": ("Event",),
    "api.evaluate": ("Comparison", "Scores", "compare", "evaluate"),
    "api.export": ("export",),
    "api.frontier": ("Frontier", "frontier"),
    "api.listing": ("Listing", "query", "status"),
    "api.plan": ("Plan", "plan"),
    "api.study": ("Result", "report", "run"),
    "exporting.model": ("Exported",),
    "model.folder": ("ModelFolder",),
}

if not TYPE_CHECKING:  # so that a type checker finds a misspelt name

    def __getattr__(name: str) -> object:
        """Import what is asked for, and no sooner: the libraries below it take a second."""
        home = next((home for home, names in _HOMES.items() if name in names), None)
        if home is None:
            raise AttributeError(f"module 'kollama2' has no attribute {name!r}")
        return getattr(importlib.import_module(f"kollama2.{home}"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
