"""The page of the server in a real browser, against the real server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kollama2.safety.guard import Guard
from tests.browsing import browser, fits, new_profile, tab, violations
from tests.serve.conftest import Running, load, running, scripted, served, slow, until
from tests.serve.test_safety import Fake

pytestmark = pytest.mark.slow

MARKUP = '서울은 <b id="planted">굵은</b> 도시입니다.'
VOTE = ["choice", "item", "left", "right", "seconds", "task", "time", "vote", "voter"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def two(tiny_model: Path) -> Iterator[Running]:
    first, second = load(tiny_model, "first"), load(tiny_model, "second")
    scripted(first, MARKUP)
    scripted(second, "둘째 모델의 답")
    with running(served(first, second)) as found:
        yield found


def send(page: Any, text: str) -> None:
    page.fill("#message", text)
    page.press("#message", "Enter")


def saved(page: Any, button: str) -> str:
    with page.expect_download() as download:
        page.click(button)
    return Path(download.value.path()).read_text(encoding="utf-8")


def kept(page: Any, start: str) -> list[Any]:
    found = page.evaluate("Object.entries(localStorage)")
    return [json.loads(value) for name, value in found if name.startswith(f"kollama2-{start}")]


def test_a_chat_is_shown_as_text_kept_exported_and_deleted(chromium: Any, two: Running) -> None:
    with tab(chromium, two.url) as page:
        page.fill("#system", "짧게 답하세요.")
        page.fill("#temperature", "0")
        page.fill("#seed", "7")
        send(page, MARKUP)
        page.wait_for_selector("#again")
        assert page.locator(".turn .text").all_inner_texts() == [MARKUP, MARKUP]
        assert page.locator("#planted").count() == 0
        assert page.locator("#status").inner_text() == "답변이 끝났습니다."
        assert page.locator("#log").get_attribute("aria-busy") == "false"
        assert page.evaluate("document.activeElement.id") == "message"

        page.reload()
        page.wait_for_selector("[data-ready=yes]")
        assert page.locator(".turn").count() == 0
        page.click("#history li button >> nth=0")
        assert page.locator(".turn .text").all_inner_texts() == [MARKUP, MARKUP]
        assert page.input_value("#system") == "짧게 답하세요."
        shown = saved(page, "#markdown").split("\n\n")
        assert shown[0] == f"# {MARKUP}"
        assert shown[1].endswith(" · temperature 0 · seed 7")
        assert shown[2:] == [
            "## 시스템 프롬프트", "짧게 답하세요.", "## 나", MARKUP, "## first", MARKUP + "\n",
        ]  # fmt: skip
        (talk,) = kept(page, "talk-")
        assert json.loads(saved(page, "#json")) == talk
        assert talk["turns"][0]["answers"][0]["text"] == MARKUP

        page.click("#history li button >> nth=1")
        assert kept(page, "talk-") == []
        assert page.locator("#history-none").is_visible()


def test_what_is_asked_is_what_the_fields_say(chromium: Any, two: Running) -> None:
    asked: list[Any] = []
    with tab(chromium, two.url) as page:
        page.on("request", lambda one: asked.append(one.post_data) if one.post_data else None)
        page.fill("#system", "짧게")
        page.fill("#top_p", "0.9")
        page.fill("#max_tokens", "200")
        send(page, "하나")
        page.wait_for_selector("#again")
        send(page, "둘")
        page.wait_for_selector(".turn >> nth=1")
        page.wait_for_selector("#again")
        page.fill("#temperature", "3")  # the form refuses it, and nothing is asked
        send(page, "셋")
        assert page.evaluate("document.activeElement.id") == "temperature"
    first, second = map(json.loads, asked)
    system, one = {"role": "system", "content": "짧게"}, {"role": "user", "content": "하나"}
    more = {"stream": True, "stream_options": {"include_usage": True}}
    fields = {"model": "first", "top_p": 0.9, "max_tokens": 200, **more}
    assert first == {**fields, "messages": [system, one]}
    answer = {"role": "assistant", "content": MARKUP}
    assert second["messages"] == [system, one, answer, {"role": "user", "content": "둘"}]


def test_enter_ends_a_syllable_and_sends_nothing(chromium: Any, two: Running) -> None:
    with tab(chromium, two.url) as page:
        page.focus("#message")
        device = page.context.new_cdp_session(page)
        device.send(
            "Input.imeSetComposition", {"text": "한", "selectionStart": 1, "selectionEnd": 1}
        )
        told = "document.getElementById('message').dispatchEvent(new KeyboardEvent('keydown', %s))"
        for how in ({"isComposing": True}, {"keyCode": 229}):
            page.evaluate(told % json.dumps({"key": "Enter", "bubbles": True, **how}))
        assert page.locator(".turn").count() == 0
        device.send("Input.insertText", {"text": "한"})
        page.press("#message", "Shift+Enter")
        assert page.input_value("#message") == "한\n"
        page.press("#message", "Enter")
        page.wait_for_selector(".turn")
        assert page.locator(".mine .text").text_content() == "한\n"


def test_a_blind_vote_shows_the_names_and_is_a_line_like_the_arenas(
    chromium: Any, two: Running
) -> None:
    texts = {"first": MARKUP, "second": "둘째 모델의 답"}
    with tab(chromium, two.url) as page:
        page.select_option("#other", "second")
        for number, choice in enumerate(("left", "bad")):
            send(page, f"질문 {number}")
            page.wait_for_selector(".votes")
            assert violations(page) == []
            last = page.locator(".turn").last
            assert last.locator(".answers h2").all_inner_texts() == ["답변 1", "답변 2"]
            shown = last.locator(".answers .text").all_inner_texts()
            assert last.locator(".answers .note").all_inner_texts() == ["", ""]
            page.click(f"[data-choice={choice}]")
            names = page.locator(".turn").last.locator(".answers h2").all_inner_texts()
            assert [texts[name] for name in names] == shown
            assert "토큰" in page.locator(".turn").last.locator(".answers .note").first.inner_text()
            vote = json.loads(saved(page, "#votes-download").splitlines()[-1])
            assert sorted(vote) == VOTE
            assert [vote["left"], vote["right"], vote["choice"]] == [*names, choice]
            assert vote["item"].endswith(f"/{number}")
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("#votes-delete")
        assert kept(page, "vote-") == []
        assert len(kept(page, "talk-")) == 1


def test_stop_keeps_what_there_is_and_frees_the_row(chromium: Any, tiny_model: Path) -> None:
    model = slow(load(tiny_model), 0.25)
    with running(served(model)) as server, tab(chromium, server.url) as page:
        send(page, "a")
        until(lambda: len(page.locator(".answers .text").inner_text()) > 3, 60)
        assert page.locator("#log").get_attribute("aria-busy") == "true"
        page.keyboard.press("Escape")
        page.wait_for_selector("#again")
        assert page.locator("#status").inner_text() == "답변을 중지했습니다."
        before = page.locator(".answers .text").inner_text()
        assert len(before) > 3
        until(lambda: model.engine.running == 0)
        page.fill("#max_tokens", "2")
        page.click("#again")
        page.wait_for_selector("#again")
        assert page.locator(".turn").count() == 1
        assert page.locator(".answers .text").inner_text() != before


def trouble(page: Any, text: str, place: str) -> str:
    """What a page says below an answer."""
    send(page, text)
    page.wait_for_selector("#again")
    return str(page.locator(".turn").last.locator(place).last.inner_text())


def test_refusals_are_sentences(chromium: Any, tiny_model: Path) -> None:
    with (
        running(served(load(tiny_model), guard=Guard([Fake()]))) as server,
        tab(chromium, server.url, locale="en-US") as page,
    ):
        blocked = trouble(page, "BAD", ".card .note")
        assert re.fullmatch(r"0 tokens · [\d.]+ s · blocked by the server’s safety check", blocked)
        page.fill("#max_tokens", "401")
        refused = trouble(page, "a", ".bad")
        assert refused.startswith("The server refused the request: max_tokens")
        assert page.locator("#status").inner_text() == "There is no whole answer."


def test_a_full_queue_says_when_to_try_again(chromium: Any, tiny_model: Path) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "a"}], "stream": True, "n": 2}
    model = slow(load(tiny_model, rows=1, queue=1), 0.5)
    with (
        running(served(model)) as server,
        server.client() as client,
        tab(chromium, server.url) as page,
        client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        assert response.status_code == 200
        assert trouble(page, "b", ".bad") == "서버가 바쁩니다. 1초 뒤에 다시 시도해 주세요."


def test_a_server_that_has_gone_is_said(chromium: Any, tiny_model: Path) -> None:
    profile = new_profile(chromium)
    page = profile.new_page()
    with running(served(load(tiny_model))) as server:
        page.goto(server.url)
        page.wait_for_selector("[data-ready=yes]")
    send(page, "거기 있습니까?")
    page.wait_for_selector("#again")
    assert page.locator(".turn .bad").inner_text().startswith("서버가 응답하지 않습니다.")
    assert len(kept(page, "talk-")) == 1
    profile.close()


def test_a_token_is_asked_for_once_and_kept_for_the_tab(chromium: Any, tiny_model: Path) -> None:
    token = "0123456789abcdef"
    with running(served(load(tiny_model)), token) as server:
        profile = new_profile(chromium)
        page = profile.new_page()
        page.goto(server.url)
        page.wait_for_selector("#token-dialog[open]")
        assert violations(page) == []
        page.fill("#token", "wrong")
        page.press("#token", "Enter")
        page.wait_for_selector("#token-wrong:visible")
        page.fill("#token", token)
        page.press("#token", "Enter")
        page.wait_for_selector("[data-ready=yes]")
        assert page.input_value("#model") == "tiny"
        page.reload()
        page.wait_for_selector("[data-ready=yes]")
        assert page.input_value("#model") == "tiny"
        assert token not in page.evaluate("JSON.stringify(localStorage)")
        assert page.evaluate("sessionStorage['kollama2-token']") == token
        profile.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(("locale", "scheme"), [("ko-KR", "dark"), ("en-US", "light")])
def test_it_fits_and_can_be_used_without_eyes_or_pointer(
    chromium: Any, two: Running, width: int, locale: str, scheme: str
) -> None:
    look = {"locale": locale, "color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    with tab(chromium, two.url, **look) as page:
        assert page.evaluate("document.documentElement.lang") == locale[:2]
        send(page, "가" * 300)
        page.wait_for_selector("#again")
        if width == 390:
            assert not page.locator("#settings").is_visible()
            page.focus("#menu")
            page.keyboard.press("Enter")
        assert page.locator("#settings").is_visible()
        assert violations(page) == []
        assert fits(page)
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.click("#theme")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
        assert violations(page) == []
        page.click("#language")
        assert page.evaluate("document.documentElement.lang") == ("en" if "ko" in locale else "ko")
