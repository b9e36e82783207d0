import os
from pathlib import Path

from kollama2.engine.gc import gc
from kollama2.engine.lease import Lease
from kollama2.engine.store import Store
from tests.engine.fakes import Corpus, Train

KEPT, OLD = Corpus(text="kept"), Corpus(text="old")
HALF, BUSY = Train(seed=1), Train(seed=2)


def test_gc_lists_then_removes_only_what_nobody_wants(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.compute(KEPT)
    store.compute(OLD)
    for stage in (HALF, BUSY):
        store.partial(stage).mkdir()
        (store.partial(stage) / "w").write_bytes(bytes(1000))
    (tmp_path / f"{HALF.name}.lease").write_text("{}")
    (tmp_path / f"{KEPT.name}.corrupt-1").mkdir()
    (tmp_path / "studies").mkdir()
    (tmp_path / "my-notes").mkdir()
    with Lease(tmp_path / f"{BUSY.name}.lease"):
        # An unreadable lease counts as held until its watcher has waited.
        (tmp_path / f"{HALF.name}.lease").unlink()
        found = gc(store, {KEPT.name})
        everything = {path.name for path in tmp_path.iterdir()}
        assert {path.name: size for path, size in found} == {
            OLD.name: sum(path.stat().st_size for path in store.path(OLD).iterdir()),
            f"{HALF.name}.partial": 1000,
            f"{KEPT.name}.corrupt-1": 0,
        }
        assert gc(store, {KEPT.name}, delete=True) == found
        gone = {path.name for path, _ in found}
        assert {path.name for path in tmp_path.iterdir()} == everything - gone
    assert store.record(KEPT) is not None
    assert [path.name for path, _ in gc(store, {KEPT.name})] == [f"{BUSY.name}.partial"]


def test_gc_of_a_store_that_is_not_there(tmp_path: Path) -> None:
    assert gc(Store(tmp_path / "none"), set()) == []


def test_each_place_is_looked_at_once_and_in_the_given_order(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("runs", "b", "a", "c")]
    left = [place / f".out.{digit * 32}" for place, digit in zip(places, "0123", strict=True)]
    for file in left:
        file.parent.mkdir()
        file.touch()
        os.utime(file, (0, 0))
    found = gc(Store(places[0]), set(), beside=[*places[1:], places[1] / "." / ".." / "b"])
    assert [path for path, _ in found] == left
