"""A server under load: one client and several, a full queue, clients that go.

    python bench/serve.py [--model builtin:miniature] [--clients 8] [--new 64] [--rounds 3] [--json]

`kollama2 serve` runs as a process of its own on loopback; the clients are threads here, so the two
share the machine. Throughput is new tokens by the seconds between the first request and the last
reply, once for one client with `--rounds` requests and once for `--clients` with as many each, in
turn, twice; the ratio is that of the better of each. Then the queue is filled with long texts: how
long a further request waits for its 429 is measured 50 times. All clients then hang up, and the
time until no text is written or waits any more is taken from `/metrics`.
"""

import argparse
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

PROMPT = "What does the farmer sell at the market in the old town?"
PATH = "/v1/chat/completions"
REFUSED = 50


@contextmanager
def server(model: str, rows: int, queue: int) -> Iterator[str]:
    """A server on a free port; it is ended by SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kollama2", "serve", f"m={model}", "--port", "0",
         "--rows", str(rows), "--queue", str(queue), "--context", "512",
         "--max-new-tokens", "400"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        found = next(filter(None, (re.search(r"http://\S+(?=/v1)", x) for x in process.stderr)))
        yield found[0]
    finally:
        process.terminate()
        process.wait(60)


def ask(client: httpx.Client, new: int, seed: int) -> int:
    """New tokens of one answer."""
    body = {
        "model": "m", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": new,
        "seed": seed, "temperature": 1.5,
    }  # fmt: skip
    response = client.post(PATH, json=body)
    response.raise_for_status()
    return int(response.json()["usage"]["completion_tokens"])


def throughput(url: str, clients: int, rounds: int, new: int) -> float:
    """New tokens a second of several clients that ask one thing after another."""
    counts: list[int] = []

    def work(number: int) -> None:
        with httpx.Client(base_url=url, timeout=300) as client:
            counts.extend(ask(client, new, 100 * number + one) for one in range(rounds))

    threads = [threading.Thread(target=work, args=(one,)) for one in range(clients)]
    began = time.perf_counter()
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return sum(counts) / (time.perf_counter() - began)


def load(client: httpx.Client) -> tuple[int, int]:
    """How many texts are being written and wait."""
    told = client.get("/metrics").text
    found = [
        re.search(rf'kollama2_{what}{{model="m"}} (\d+)', told) for what in ("running", "waiting")
    ]
    return tuple(int(one[1]) if one else 0 for one in found)  # type: ignore[return-value]


def overload(url: str, texts: int) -> dict[str, Any]:
    """Seconds to a 429 while as many long texts as fit are wanted, and until nothing is left."""
    body = {
        "model": "m", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 400,
        "stream": True, "temperature": 2.0,
    }  # fmt: skip
    place, sent = httpx.URL(url), json.dumps(body)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with httpx.Client(base_url=url, timeout=60) as client:
        clients = [socket.create_connection((place.host, place.port or 0)) for _ in range(texts)]
        for one in clients:
            one.sendall(f"{head}Content-Length: {len(sent)}\r\n\r\n{sent}".encode())
        while sum(load(client)) < texts:
            time.sleep(0.002)
        waits, statuses = [], []
        for _ in range(REFUSED):
            began = time.perf_counter()
            statuses.append(client.post(PATH, json=body).status_code)
            waits.append(time.perf_counter() - began)
        refused = [wait for wait, status in zip(waits, statuses, strict=True) if status == 429]
        for one in clients:
            one.close()
        began = time.perf_counter()
        while sum(load(client)):
            assert time.perf_counter() - began < 60, "texts are still written for nobody"
            time.sleep(0.002)
        empty = time.perf_counter() - began
    ordered = sorted(refused)
    return {
        "refused": len(refused), "asked": len(waits),
        "median_ms": 1000 * ordered[len(ordered) // 2], "largest_ms": 1000 * ordered[-1],
        "empty_after_s": empty,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="builtin:miniature")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with server(given.model, given.clients, 8) as url:
        throughput(url, 1, 1, 8)  # the first request warms everything
        turns = [
            (throughput(url, 1, given.rounds, given.new),
             throughput(url, given.clients, given.rounds, given.new))
            for _ in range(2)
        ]  # fmt: skip
        one, many = (max(side) for side in zip(*turns, strict=True))
        found = {
            "one": one, "many": many, "ratio": many / one, **overload(url, given.clients + 8)
        }  # fmt: skip
    if given.json:
        print(json.dumps(found, indent=2))
        return
    print(f"1 client: {one:.0f} tokens/s, {given.clients}: {many:.0f} ({many / one:.1f} times)")
    print(
        "full: {refused} of {asked} refused, median {median_ms:.1f} ms, largest "
        "{largest_ms:.1f} ms".format(**found)
    )
    print(f"nothing is left {found['empty_after_s']:.2f} s after the clients have gone")


if __name__ == "__main__":
    main()
