"""Metrics in Prometheus' text format."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

_TOLD = {
    "kollama2_requests_total": ("counter", "Requests by path and status."),
    "kollama2_tokens_total": ("counter", "Tokens read (prompt) and written (completion)."),
    "kollama2_first_token_seconds_sum": ("counter", "Seconds until the first token, summed."),
    "kollama2_first_token_seconds_count": ("counter", "Answers that this sum is of."),
    "kollama2_running": ("gauge", "Texts that are being written."),
    "kollama2_waiting": ("gauge", "Texts that wait for a row."),
}


class Metrics:
    """Counters, which only the event loop changes."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        """Add to a counter."""
        self._values[name, tuple(labels.items())] += value

    def text(self, gauges: Iterable[tuple[str, Mapping[str, str], float]]) -> str:
        """Everything, with gauges as they are now: name, labels, value."""
        values = [*((n, dict(labels), v) for (n, labels), v in self._values.items()), *gauges]
        lines = []
        for name, (kind, told) in _TOLD.items():
            own = [one for one in values if one[0] == name]
            if own:
                lines += [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
                lines += [f"{name}{_shown(labels)} {value:g}" for _, labels, value in own]
        return "\n".join(lines) + "\n"


def _shown(labels: Mapping[str, str]) -> str:
    parts = [f'{name}="{_escaped(value)}"' for name, value in labels.items()]
    return f"{{{','.join(parts)}}}" if parts else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
