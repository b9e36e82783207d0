"""A test that is skipped where it must not be fails the session, told with its reason."""

import shutil
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_known():
    pytest.skip("mounting is forbidden here")

@pytest.mark.skipif(True, reason="no chromium here")
def test_unknown():
    raise AssertionError

def test_done():
    pass
"""
pytest_plugins = ("pytester",)


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("-n", "2"), 1, True),
        (("--may-skip", "no chromium here"), 0, False),
    ],
)
def test_only_known_reasons(
    pytester: pytest.Pytester, options: tuple[str, ...], code: int, told: bool
) -> None:
    own = Path(__file__).parent
    folder = pytester.mkpydir("tests")
    for name in ("conftest.py", "skips.py", "tiny.py"):
        shutil.copy(own / name, folder / name)
    (folder / "test_some.py").write_text(TESTS, encoding="utf-8")
    done = pytester.runpytest_subprocess("--only-known-skips", *options)
    done.assert_outcomes(passed=1, skipped=2)
    assert done.ret == code
    line = "SKIPPED without a known reason: tests/test_some.py::test_unknown: Skipped: no chromium"
    assert (line in done.stdout.str()) is told
