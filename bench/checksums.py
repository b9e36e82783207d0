"""What checksums cost: every file of a finished store is hashed, as stages hash their inputs.

    python bench/checksums.py [STORE]

Printed are the bytes, the processor's seconds, and their share of what the stages took.
"""

import sys
import time
from pathlib import Path

from kollama2.engine.store import Store


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
    store = Store(root)
    took = [record.seconds for record in store.records()]
    size = sum(one.stat().st_size for one in root.glob("*-*/**/*") if one.is_file())
    before = time.process_time()
    damaged = store.verify()
    seconds = time.process_time() - before
    print(
        f"{len(took)} stages, {size / 1e6:,.0f} MB: {seconds:.1f} s of the processor, "
        f"{size / 1e6 / seconds:,.0f} MB/s, {seconds / sum(took):.2%} of the {sum(took):,.0f} s "
        f"that the stages took; {len(damaged)} damaged"
    )
    return len(damaged) > 0


if __name__ == "__main__":
    sys.exit(main())
