"""A drawn part of all faults in `bench/faults.py` ends well."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench" / "faults.py"


# Of each part a tenth, and no fewer than so many.
PARTS = {"bytes": 90, "rows": 220, "models": 75, "outside": 45}


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_a_tenth_of_all_faults_ends_well(part: str) -> None:
    command = [sys.executable, str(BENCH), part, "--every", "10", "--seed", "20261129"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    row = done.stdout.splitlines()[-1].split("|")
    assert int(row[2].replace(",", "")) > PARTS[part]
    assert [cell.strip() for cell in row[3:6]] == ["0", "0", "0"]
