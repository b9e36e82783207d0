"""Faults from outside: bad configuration, folders that cannot be written, bad servers and clients.

    python bench/faults_outside.py          all cases, about two minutes
    python bench/faults_outside.py yaml     one group: yaml, outputs, download or network

Every case does what a user, a server or a client can do. A good end is an exit code of
`kollama2.errors` with one sentence, soon; counted is the rest. `cases` is for other programs too.
"""

import contextlib
import json
import os
import resource
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the fake servers are those of the tests

from bench.faults_yaml import lines
from bench.typed import Ended, call, command

from kollama2.miniature import base

LONGEST = 20.0  # seconds that a refusal may take


Case = tuple[str, str, Callable[[], Ended]]


def classify(ended: Ended) -> str:
    """`said` is a good end; `traceback`, `silent`, `slow` and `long` are not."""
    if ended.refusal != "said":
        return ended.refusal
    if ended.seconds > LONGEST:
        return "slow"
    return "said" if len(ended.sentences) == 1 and len(ended.sentences[0]) < 600 else "long"


def cases(root: Path) -> Iterator[Case]:
    """All cases, as (group, name, run), to be run in this order; `root` is an empty folder."""
    for name, line in lines(root):
        yield "yaml", name, partial(command, *line)
    yield from (("outputs", name, run) for name, run in output_cases(root))
    yield from (("download", name, run) for name, run in download_cases(root))
    yield from (("network", name, run) for name, run in network_cases(root))


def output_cases(root: Path) -> Iterator[tuple[str, Callable[[], Ended]]]:
    """Folders that cannot be written, and limits of size."""
    (root / "in.txt").write_text("나무는 숲에 산다. " * 400, encoding="utf-8")
    (root / "full").mkdir()
    (root / "full" / "x").write_text("x")
    model, text = str(base.FOLDER), str(root / "in.txt")
    commands = {
        "clean": ["data", "clean", text], "convert": ["convert", model, "--to", "meta"],
        "adapt": ["adapt", model, "--recipe=vicuna-ko", f"--data={text}", f"--store={root}/store"],
        "expand": ["tokenizer", "expand", model, "--corpus", text],
        "prune": ["tokenizer", "prune", model, "--keep", "ko"],
        "download": ["download", "--models", "7B"],
    }  # fmt: skip
    os.environ["LLAMA2_URL"] = "http://127.0.0.1:9/*?x"
    places = [
        root / "in.txt" / "out", root / "in.txt", root / ("n" * 300), root / ("d/" * 3000), "/",
        "/dev/null/out", "/dev/null", "/sys/none/out", root / "full", "/proc/none/out",
    ]  # fmt: skip
    for name, line in commands.items():
        for place in places:
            if name != "download" or place not in (root / "full", "/"):
                yield (
                    f"{name} into {str(place)[-30:]}",
                    partial(command, *line, "-o", str(place)),
                )
    for name in ("clean", "convert", "expand"):
        for size in (0, 1, 100, 1000, 4000):
            line = [*commands[name], "-o", str(root / f"{name}-{size}")]
            yield f"{name} with files of {size}", partial(_limited, line, size)


def _limited(line: list[str], size: int) -> Ended:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        return command(*line)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def download_cases(root: Path) -> Iterator[tuple[str, Callable[[], Ended]]]:
    """Every fault of a server, at every file."""
    from tests.llama.faulty_server import HEADERS, files, serving

    from kollama2.llama import download

    get = download.download
    vars(download).update(_GIGABYTES={"7B": 1e-3}, _SHARD_LIMIT=1_000_000, _LIMIT=1_000_000)
    faults = ["403", "200 html", "200 xml", "redirect", "500", "silence", "endless", *HEADERS]

    def run(name: str, fault: str, number: int) -> Ended:
        with serving(dict(files())) as server:
            server.faults[name, -1], to = fault, root / f"llama-{number}"
            return call(partial(get, server.link, ["7B"], to, patience=0.3, pause=0.001))

    for number, (name, fault) in enumerate(product(files(), faults)):
        yield f"{fault} at {name}", partial(run, name, fault, number)


def network_cases(root: Path) -> Iterator[tuple[str, Callable[[], Ended]]]:
    """Answers of endpoints, requests to the arena, and queries that end never or nowhere."""
    from tests.evaluation.server import serving
    from tests.reporting import fake

    from kollama2 import web as web_server
    from kollama2.arena.app import Arena, create
    from kollama2.evaluation import endpoint
    from kollama2.reporting import query
    from kollama2.reporting.study import load

    vars(endpoint).update(LARGEST=1_000_000)
    answers = ["", "null", "[]", "{}", "[" * 90_000, '{"choices": []}', '{"choices": {}}', "NaN"]
    answers += ['{"choices": [7]}', '{"choices": "a"}', "\ufeff{}", "x" * 2_000_000]
    answers += [
        f'{{"choices": [{{"message": {{"content": {one}}}}}]}}' for one in ("[1]", 7, "true")
    ]
    codes = (201, 204, 302, 400, 401, 403, 404, 413, 422, 429, 500, 503, 599)
    replies = [*((200, one) for one in answers), *((code, "x") for code in codes)]

    def ask(reply: tuple[int, str]) -> Ended:
        with serving(lambda _: reply) as server:
            client = endpoint.Endpoint(server.url, "m", wait=lambda _: None)
            return call(partial(client.ask, [{"role": "user", "content": "?"}], 8))

    for reply in replies:
        yield f"answer {reply[0]} {reply[1][:20]!r}", partial(ask, reply)
    store = fake.write(root / "fake", seeds=(0,), items=4)
    vars(query).update(SECONDS=2.0, MEMORY="200MB", ROWS=1000)
    endless = "WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT 1 FROM t) SELECT count(*) FROM t"
    queries = [
        "", "SELEC", "SELECT '\udcff'", "SELECT * FROM range(9999)", "COPY stages TO 'x'", endless,
        "SELECT count(*) FROM range(10000000) a, range(10000000) b", "ATTACH 'x.db'", "PRAGMA x",
        "SELECT list(repeat('x', 1000000) || i) FROM range(100000) t(i)",
    ]  # fmt: skip
    for sql in queries:
        yield f"query {sql[:30]!r}", partial(command, "query", sql, "--store", str(store))
    listening = web_server.listen("127.0.0.1", 0)
    web_server.SECONDS = 2.0
    web = create(Arena(load(store, "quick")))
    threading.Thread(target=web_server.run, args=(web, listening), daemon=True).start()
    at = listening.getsockname()[1]
    for number, one in enumerate(_requests()):
        yield f"request {number} {one[-30:]!r}", partial(_request, at, one.encode())


def _requests() -> list[str]:
    """Requests to the arena that it must refuse."""
    good = {"voter": "someone-1", "token": "x", "choice": "left"}
    numbers = ("NaN", "1e999", "-1e999", "-1", "9" * 3000, "true", "[]", '"\\ud800"')
    odd = [json.dumps(good)[:-1] + f', "seconds": {one}}}' for one in numbers]
    texts = ("\ud800", "", None, 7, "x" * 3000, [])
    odd += [json.dumps({**good, key: one}) for key in good for one in texts]
    odd += ["", "[" * 4000, "{" * 4000, "\x00", "null", json.dumps({**good, "more": 1}), " " * 5000]
    head = "POST /api/vote HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    sizes = ("9" * 30, "-1", "x", "5000", "1, 2", "99")
    raw = [f"{head}Content-Length: {len(one.encode())}\r\n\r\n{one}" for one in odd]
    raw += [f"{head}Content-Length: {one}\r\n\r\n{{" for one in sizes]
    raw += [head + "X: " + "x" * 70_000, head.replace("localhost", "evil.example") + "\r\n", head]
    raw += [head.replace("1.1", "9.9") + "\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HT", "", "\x16"]
    return raw


def _request(port: int, request: bytes) -> Ended:
    """A refusal is a status from 400 to 499, or a connection that is closed soon."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as client:
        client.sendall(request)
        status = ""
        with contextlib.suppress(ConnectionError):
            status = client.recv(65536)[9:12].decode("latin-1")
    code = 64 if not status or "400" <= status < "500" else 1
    return Ended(code, "", f"kollama2: {status or 'closed'}\n", time.monotonic() - began)


def main() -> int:
    """Run the cases; 0 when every one ended well."""
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for group, name, run in cases(Path(folder)):
            if sys.argv[1:] and group not in sys.argv[1:]:
                continue
            ended = run()
            verdict = classify(ended)
            counts.setdefault(group, Counter())[verdict] += 1
            if verdict != "said":
                why = ended.trace[-300:] or ended.said[:300]
                print(f"{verdict}: {group}: {name}: {ended.code}, {ended.seconds:.0f} s, {why!r}")
    print(f"{'kind':10} {'tried':>6} {'silent':>7} {'tracebacks':>11} {'slow or long':>13}")
    for group, found in counts.items():
        print(f"{group:10} {found.total():6} {found['silent']:7} {found['traceback']:11} "
              f"{found['slow'] + found['long']:13}")  # fmt: skip
    return int(any(set(found) != {"said"} for found in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
