"""The page of the server: open to whoever has no token yet, while what it asks for is not."""

from pathlib import Path

from tests.serve.conftest import Running, load, running, served


def test_the_page_stands_at_the_address_itself(server: Running) -> None:
    with server.client() as client:
        page = client.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert page.headers["x-frame-options"] == "DENY"
        assert "메시지" in page.text
        assert client.head("/").status_code == 200
        assert client.post("/", json={}).status_code == 405
        assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_the_page_needs_no_token_and_gives_nothing_without(tiny_model: Path) -> None:
    token = "0123456789abcdef"
    with running(served(load(tiny_model)), token) as server, server.client() as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "tiny" not in page.text
        assert token not in page.text
        assert client.get("/v1/models").status_code == 401
