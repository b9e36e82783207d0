"""An OpenAI-compatible endpoint: one chat in, one answer out, patient with what passes."""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kollama2.errors import BadUsage, Denied, Missing, TryLater, first_line

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 5
# Seconds before the second attempt; each further one waits twice as long, at most the second.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
TIMEOUT = 120.0  # seconds without a byte
LONGEST = 600.0  # seconds for one answer
LARGEST = 16_000_000  # bytes of one answer
# The environment variable that holds the key of an endpoint, unless another one is named.
KEY = "OPENAI_API_KEY"
_HALVES = re.compile("[\ud800-\udfff]")


class Reply(NamedTuple):
    """What an endpoint said; `refused` when its filter kept it from answering."""

    text: str
    stopped: bool
    tokens: int | None
    refused: bool = False


class Endpoint:
    """A chat model behind `POST {url}/chat/completions`.

    Args:
        url: the address up to `/v1`.
        model: the name that the endpoint knows the model by.
        key_variable: environment variable that holds the key; one that is not set means no key,
            which is right for a server of one's own. The key is never written anywhere.
        temperature: None leaves it out, for models that refuse it.
        wait: how to wait some seconds.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key_variable: str = KEY,
        temperature: float | None = 0.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        self.url, self.model = url.rstrip("/"), model
        self._variable, self._temperature, self._wait = key_variable, temperature, wait
        key = os.environ.get(key_variable, "").strip()
        if not re.fullmatch("[!-~]*", key):
            raise BadUsage(f"{key_variable} holds no key: it has blanks or no ASCII in it")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT)

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, messages: Sequence[Mapping[str, str]], max_tokens: int) -> Reply:
        """The answer to a chat.

        What passes by itself (a broken connection, too many requests, a server's error) is tried
        five times with growing pauses.

        Raises:
            Denied: the key is missing or refused.
            BadUsage: the endpoint knows no such model, or refuses the request.
            Missing: nothing answers at this address.
            TryLater: it kept failing.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": one["role"], "content": one["content"]} for one in messages],
            "max_tokens": max_tokens,
        }
        if self._temperature is not None:
            body["temperature"] = self._temperature
        trouble, reached, pause = "", False, 0.0
        for attempt in range(ATTEMPTS):
            if attempt:
                self._wait(min(LONGEST_WAIT, pause))
            pause = FIRST_WAIT * 2**attempt
            response = self._post(body)
            if isinstance(response, str):
                trouble, reached = response, reached or not response.startswith("no answer")
                continue
            reached = True
            if response.status_code == 429 or response.status_code >= 500:
                trouble = f"status {response.status_code}"
                pause = max(pause, _seconds(response.headers.get("retry-after")))
                continue
            self._check(response)
            reply = _reply(response)
            if reply is not None:
                return reply
            trouble = "an answer that is no chat completion"
        error = TryLater if reached else Missing
        raise error(f"{self.url}: {trouble}, {ATTEMPTS} times in a row; run again to go on")

    def _post(self, body: dict[str, Any]) -> "httpx.Response | str":
        import httpx

        began, content = time.monotonic(), bytearray()
        try:
            with self._client.stream("POST", f"{self.url}/chat/completions", json=body) as answer:
                for piece in answer.iter_bytes():
                    content += piece
                    if len(content) > LARGEST:
                        return f"an answer of more than {LARGEST:,} bytes"
                    if time.monotonic() - began > LONGEST:
                        return f"an answer that takes longer than {LONGEST:g} s"
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            raise BadUsage(
                f"{self.url} is no address of an endpoint: {first_line(error)}"
            ) from error
        except httpx.RequestError as error:
            return f"no answer ({type(error).__name__}: {first_line(error)})"
        plain = {n: v for n, v in answer.headers.items() if n in ("content-type", "retry-after")}
        return httpx.Response(answer.status_code, headers=plain, content=bytes(content))

    def _check(self, response: "httpx.Response") -> None:
        """Raise for what no further attempt would mend."""
        code = response.status_code
        if code in (401, 403):
            raise Denied(
                f"{self.url} refuses the key (status {code}); set {self._variable} to a valid one"
            )
        if code >= 400 and not _filtered(response):
            said = response.text[:300].replace("\n", " ")
            raise BadUsage(f"{self.url}, model {self.model!r}: status {code}: {said}")


def _seconds(text: str | None) -> float:
    plain = text and text.isascii() and text.replace(".", "", 1).isdigit()
    return float(text) if text and plain else 0.0


def _filtered(response: "httpx.Response") -> bool:
    """Whether a refusal is about the content of this one request."""
    return response.status_code == 400 and "content_" in response.text


def _reply(response: "httpx.Response") -> Reply | None:
    """The answer in a response; None if it is none."""
    if response.status_code >= 400:
        return Reply("", stopped=False, tokens=None, refused=True)
    try:
        found = response.json()
        choice = found["choices"][0]
        text = choice["message"]["content"] or ""
        tokens = (found.get("usage") or {}).get("completion_tokens")
        reason = choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None
    if not isinstance(text, str):
        return None
    whole = _HALVES.sub("\ufffd", text)  # JSON can hold halves of a character, a file cannot
    counted = isinstance(tokens, int) and 0 <= tokens < 1 << 53
    return Reply(whole, reason == "stop", tokens if counted else None, reason == "content_filter")
