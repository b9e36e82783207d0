"""Pages: what their policy lets run is what stands in them, and every text has both languages."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

import kollama2
from kollama2.pages.page import page, texts

SOURCE = Path(kollama2.__file__).parent
PAGES = {
    "arena": (SOURCE / "arena", (), {"study": "<b>quick</b>"}),
    "chat": (SOURCE / "serve" / "page", ("ask", "talks"), {}),
    "watch": (SOURCE / "watch", ("charts",), {"store": "<b>runs</b>"}),
}


@pytest.fixture(params=sorted(PAGES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_policy_allows_what_stands_there_and_nothing_else(name: str) -> None:
    folder, scripts, values = PAGES[name]
    shown = page(folder, name, scripts, **values)
    inside = re.findall(r"<(script|style)(?: type=\"module\")?>(.*?)</\1>", shown.html, re.DOTALL)
    assert [kind for kind, _ in inside] == ["style", "script", "script"]
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for _, text in inside
    ]
    assert shown.headers["Content-Security-Policy"] == (
        f"default-src 'none'; script-src {hashes[1]} {hashes[2]}; style-src {hashes[0]}; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    assert "style=" not in re.sub(r"<script.*?</script>", "", shown.html, flags=re.DOTALL)


def test_a_value_is_a_text(name: str) -> None:
    folder, scripts, values = PAGES[name]
    html = page(folder, name, scripts, **values).html
    for value in values.values():
        assert value not in html
        assert value.replace("<", "&lt;").replace(">", "&gt;") in html


def test_every_text_is_used_and_has_both_languages_with_the_same_values(name: str) -> None:
    folder, scripts, _ = PAGES[name]
    files = [folder / f"{one}.js" for one in (*scripts, name)] + [folder / f"{name}.html.j2"]
    frame = SOURCE / "pages"
    source = "".join(
        file.read_text() for file in (*files, *frame.glob("*.js"), *frame.glob("*.j2"))
    )
    whole = set(re.findall(r'"([\w.-]+)"', source))
    for key, both in texts(folder).items():
        assert set(both) == {"en", "ko"}
        values = [set(re.findall(r"{\w+}", both[language])) for language in ("en", "ko")]
        assert values[0] == values[1], key
        assert key in whole or f'"{key.rpartition(".")[0]}." +' in source, key
    used = re.findall(r'(?<![\w.])(?:both|say|button|t)\("([\w.-]+)"[,)]', source)
    used += re.findall(r'(?:data-label=|data-hint=)"([\w.-]+)"', source)
    assert len(used) > 5
    assert set(used) <= set(texts(folder))


def test_nothing_is_written_as_html(name: str) -> None:
    folder, scripts, _ = PAGES[name]
    source = "".join((folder / f"{one}.js").read_text() for one in (*scripts, name))
    source += (SOURCE / "pages" / "frame.js").read_text()
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert word not in source
    assert json.dumps("http") not in source
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", source)
