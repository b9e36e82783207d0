"""The arena's server against slow, large, strange and many clients, over real sockets."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.loopback import started
from tests.reporting import fake

VOTER = {"voter": "someone-1"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return fake.write(tmp_path, seeds=(0,), items=4)


def start(store: Path, host: str) -> "tuple[subprocess.Popen[str], str]":
    return started("arena", "quick", "--store", str(store), "--host", host)


def stop(process: "subprocess.Popen[str]") -> str:
    process.terminate()
    _, said = process.communicate(timeout=20)
    return said


@pytest.fixture
def place(store: Path) -> Iterator[str]:
    process, place = start(store, "127.0.0.1")
    yield place
    assert "Traceback" not in stop(process)


def connect(place: str, first: bytes = b"") -> socket.socket:
    found = httpx.URL(place)
    client = socket.create_connection((found.host, found.port), timeout=20)
    client.sendall(first)
    return client


def closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(65536) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_clients_that_never_finish_are_closed_while_others_are_served(place: str) -> None:
    slow = b"POST /api/pair HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    idle = [connect(place, b"GET / HT") for _ in range(150)]
    idle += [connect(place, slow + b"Content-Length: 99\r\n\r\n{") for _ in range(100)]
    idle += [connect(place) for _ in range(100)]
    began, waits = time.monotonic(), []
    with httpx.Client() as healthy:
        while time.monotonic() - began < 15 and not all(closed(client) for client in idle):
            asked = time.monotonic()
            assert healthy.post(f"{place}api/pair", json=VOTER).status_code == 200
            waits.append(time.monotonic() - asked)
            for client in idle[::10]:
                if not closed(client) and slow:  # they go on with a byte
                    try:
                        client.sendall(b"x")
                    except OSError:
                        continue
            time.sleep(0.5)
    assert all(closed(client) for client in idle)
    assert max(waits) < 2
    for client in idle:
        client.close()


def test_requests_of_any_size_and_shape(place: str) -> None:
    with httpx.Client() as client:
        large = b" " * 5000 + json.dumps(VOTER).encode()
        for content in (large, iter([b"x" * 1000] * 50)):
            # What is still being sent when the answer comes may reset the connection.
            with suppress(httpx.ReadError, httpx.WriteError):
                assert client.post(f"{place}api/pair", content=content).status_code == 413
    for first, status in {
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000 + b"\r\n\r\n": b"431",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 50_000 + b"\r\n": b"400",
        b"\x16\x03\x01 hello\r\n\r\n": b"400",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n": b"400",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n": b"413",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n": b"200",
    }.items():
        with connect(place, first) as client:
            assert client.recv(12)[9:] == status, first[:60]


def test_an_address_of_ipv6(store: Path) -> None:
    process, place = start(store, "::1")
    assert place.startswith("http://[::1]:")
    assert httpx.post(f"{place}api/pair", json=VOTER).status_code == 200
    assert (
        stop(process) == "kollama2: ended by SIGTERM; nothing finished is lost and the same "
        "command continues\n"
    )


def test_an_address_that_others_reach_needs_its_token(store: Path) -> None:
    process, place = start(store, "0.0.0.0")
    open_to_all, token = place.split("?token=")
    assert len(token) == 24
    for wrong in ("", "?token=", f"?token={token[:-1]}", f"?token={token}x", "?token=%ff"):
        assert httpx.get(open_to_all + wrong).status_code == 403
        assert httpx.post(f"{open_to_all}api/pair{wrong}", json=VOTER).status_code == 403
    assert httpx.get(place).status_code == 200
    path = f"{open_to_all}api/pair?token={token}"
    assert httpx.post(path, json=VOTER, headers={"host": "any.name"}).status_code == 200
    stop(process)


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid", "한국"])
def test_an_address_that_is_none_is_one_sentence(store: Path, host: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kollama2", "arena", "quick", "--store", str(store), "--host", host],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 64
    assert done.stderr.startswith(f"kollama2: nothing can listen on {host}, port 8321: ")
    assert done.stderr.count("\n") == 1
