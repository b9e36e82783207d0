"""Thoughts: what a reasoning model writes before it answers is no part of what it says.

What stands between `<think>` and `</think>` (or `<thought>`, `[THINK]`) is neither scored nor shown
to people and judges; the records keep it. Some prompts open the thoughts themselves, so that the
model only closes them. Thoughts that never end, because the answer is cut, leave an empty answer.
"""

import re

MARK = re.compile(r"</?(?:think|thought)>|\[/?THINK\]")
_OPEN, _CLOSE = r"(?:<(?:think|thought)>|\[THINK\])", r"(?:</(?:think|thought)>|\[/THINK\])"
_AT_END = re.compile(_OPEN + r"\s*\Z")
_THOUGHTS = re.compile(rf"{_OPEN}.*?(?:{_CLOSE}\s*|\Z)", re.DOTALL)


def opens(prompt: str) -> bool:
    """Whether a prompt ends where thoughts begin."""
    return _AT_END.search(prompt) is not None


def spoken(text: str, *, opened: bool = False) -> str:
    """What a model says, without its thoughts.

    Args:
        text: what it wrote.
        opened: the prompt opened the thoughts, see `opens`.
    """
    first = MARK.search(text)
    if opened or (first is not None and "/" in first[0]):
        text = "<think>" + text
    return _THOUGHTS.sub("", text)
