"""Shared fixtures; a test marked `slow` runs only with --slow."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests import skips, tiny

# No test may reach a hub, whatever the machine allows.
os.environ["HF_HUB_OFFLINE"] = "1"
# Two test processes share the cores; more threads each would only fight for them.
os.environ["OMP_NUM_THREADS"] = "1"
# pytest-xdist tells its workers of a terminal with 80 columns, which users who pipe do not have.
os.environ.pop("COLUMNS", None)

# Of a property that does not say how many examples it takes.
settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("slow", max_examples=300, deadline=None)
# Messages are compared in English, whatever the developer reads.
for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
    os.environ.pop(name, None)

REPOSITORY = Path(__file__).parent.parent


_skipped: set[tuple[str, str]] = set()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")
    parser.addoption(
        "--only-known-skips",
        action="store_true",
        help="fail if a test is skipped for a reason that tests/skips.py does not list",
    )
    parser.addoption(
        "--may-skip", action="append", default=[], metavar="REASON", help="list this reason too"
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("slow" if config.getoption("--slow") else "quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files with slow tests go first, so that at the end no process waits for one of them.

    What reads real data or real models is slow too.
    """
    for item in items:
        if {"real_data", "real_models"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    slow = [item for item in items if "slow" in item.keywords]
    if config.getoption("--slow"):
        files = {item.path for item in slow}
        items.sort(key=lambda item: item.path not in files)
        for item in slow:
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(900))
        return
    skip = pytest.mark.skip(reason="slow; run with --slow")
    for item in slow:
        item.add_marker(skip)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note(report)


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple) and not hasattr(report, "wasxfail"):
        _skipped.add((report.nodeid, str(report.longrepr[2])))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--only-known-skips") and _unknown(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.getoption("--only-known-skips"):
        for nodeid, reason in _unknown(config):
            terminalreporter.write_line(f"SKIPPED without a known reason: {nodeid}: {reason}")


def _unknown(config: pytest.Config) -> list[tuple[str, str]]:
    also = tuple(config.getoption("--may-skip"))
    return sorted(one for one in _skipped if skips.unknown(one[1], also))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real Korean and English data, where a developer has one."""
    folder = Path(os.environ.get("KOLLAMA2_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data here; set KOLLAMA2_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def real_models() -> Path:
    """The folder with the two real models, as scripts/fetch_models.py makes it."""
    folder = os.environ.get("KOLLAMA2_MODELS")
    if folder is None:
        pytest.skip("no real models here; set KOLLAMA2_MODELS to what fetch_models.py made")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of 0.1 M parameters; read-only for tests, copy it to change it."""
    return tiny.write_model(tmp_path_factory.mktemp("model"))
