"""What a client is told in the place of an answer: OpenAI's error object and a status."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

_SEVERAL = ("prompt", "stop", "input", "content")  # parameters of several forms
_LONGEST = 200  # characters of a client's own words that are repeated


class Refusal(Exception):
    """A request is not answered.

    Args:
        status: of HTTP.
        message: what is wrong and what to do.
        param: the parameter that it is about.
        code: what programs know it by.
        wait: seconds after which the same request may be answered.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        wait: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = {} if wait is None else {"Retry-After": str(wait)}

    def body(self) -> dict[str, Any]:
        """The error object."""
        return {
            "error": {
                "message": self.message,
                "type": _kind(self.status),
                "param": self.param,
                "code": self.code,
            }
        }


def _kind(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    if status == 401:
        return "authentication_error"
    return "invalid_request_error" if status < 500 else "server_error"


def unknown(models: Iterable[str]) -> Refusal:
    """The refusal where there is no such model."""
    known = ", ".join(models)
    return Refusal(404, f"model: there is no such model; there are {known}", "model",
                   "model_not_found")  # fmt: skip


def overloaded() -> Refusal:
    """The refusal where too many wait."""
    return Refusal(429, "too many requests wait; try again later", None, "queue_full", wait=1)


def unreadable(error: ValidationError) -> Refusal:
    """The refusal of a body that is no such request."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = list(map(str, first["loc"]))
    place = ".".join(path)[:_LONGEST] or None
    said = first["msg"].removeprefix("Value error, ")
    if several := [at for at, one in enumerate(path) if one in _SEVERAL and at + 1 < len(path)]:
        # What each of the allowed forms has against it would only confuse.
        place, said = ".".join(path[: several[0] + 1]), "it has none of the forms that it may have"
    if first["type"] == "extra_forbidden":
        said = "this server knows no such parameter; leave it out"
    return Refusal(400, f"{place}: {said}" if place else said, place, first["type"])
