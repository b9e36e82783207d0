"""One fake store for all tests of the report; nothing in it may be changed."""

from pathlib import Path

import pytest

from kollama2.reporting.html import write_report
from tests.reporting import fake


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = frozenset({("vicuna-lora", 2)})
    return fake.write(tmp_path_factory.mktemp("store"), missing=missing)


@pytest.fixture(scope="session")
def page(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(store, "quick", tmp_path_factory.mktemp("report"))
