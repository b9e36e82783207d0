"""A real browser for tests: Playwright with the Chromium of this machine, where both are here."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium; the test is skipped where there is none."""
    driver = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here")
    with driver.sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-quic"]
        )
        try:
            yield found
        finally:
            found.close()


def new_profile(found: Any, **context: Any) -> Any:
    """A new profile of a browser that speaks Korean, patient on a busy machine."""
    profile = found.new_context(**{"locale": "ko-KR", **context})
    profile.set_default_timeout(120_000)
    return profile


@contextmanager
def tab(found: Any, url: str, **context: Any) -> Iterator[Any]:
    """A page in a new profile, once it is ready; it may complain of nothing."""
    complaints: list[str] = []
    profile = new_profile(found, **{"viewport": {"width": 1280, "height": 800}, **context})
    page = profile.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(url)
    page.wait_for_selector("[data-ready=yes]")
    yield page
    profile.close()
    # The browser itself tells of each answer that is no success.
    assert [one for one in complaints if "Failed to load resource" not in one] == []


def violations(page: Any) -> list[tuple[str, list[str]]]:
    """What axe finds wrong for those who cannot see or point."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe
    found = axe().run(page).response["violations"]
    return [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]


def fits(page: Any) -> bool:
    """Whether nothing stands out to the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
