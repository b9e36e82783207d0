import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kollama2.engine import commit
from kollama2.errors import Corrupt, StorageTrouble, TryLater, storage

FILES = {"config.json": b'{"a": 1}', "model/weights.bin": bytes(range(256)), "빈 파일.txt": b""}


def finished(root: Path) -> Path:
    partial = root / "a.partial"
    for name, content in FILES.items():
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).write_bytes(content)
    commit.seal(partial)
    commit.move(partial, root / "a")
    return root / "a"


def test_a_folder_that_is_sealed_and_moved_verifies(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    commit.verify(folder, full=True)
    assert not (tmp_path / "a.partial").exists()
    assert set(commit.manifest(folder)) == set(FILES)
    assert commit.manifest(folder)["model/weights.bin"]["size"] == 256


def test_files_get_the_usual_permissions(tmp_path: Path) -> None:
    partial = tmp_path / "p"
    partial.mkdir(mode=0o700)
    (partial / "w").write_bytes(b"1")
    (partial / "w").chmod(0o600)
    commit.seal(partial)
    commit.move(partial, tmp_path / "f")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "f" / "w").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o777 & ~mask


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("store"))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_change_is_found(pristine: Path, data: st.DataObject) -> None:
    with _copy(pristine) as folder:
        name = data.draw(st.sampled_from([*FILES, commit.MANIFEST]))
        path = folder / name
        content = bytearray(path.read_bytes())
        change = data.draw(st.sampled_from(["flip", "cut", "grow", "delete", "add"]))
        if change == "flip" and content:
            bit = data.draw(st.integers(0, 8 * len(content) - 1))
            content[bit // 8] ^= 1 << bit % 8
            path.write_bytes(content)
        elif change == "cut" and content:
            path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        elif change in ("flip", "cut", "grow"):
            path.write_bytes(bytes(content) + b"\0")
        elif change == "delete":
            path.unlink()
        else:
            (path.parent / "added.txt").write_bytes(b"")
        with pytest.raises(Corrupt):
            commit.verify(folder, full=True)
        if change not in ("flip",):
            with pytest.raises(Corrupt):
                commit.verify(folder)


def _copy(folder: Path):  # type: ignore[no-untyped-def]
    from contextlib import contextmanager
    from tempfile import TemporaryDirectory

    @contextmanager
    def copy() -> Iterator[Path]:
        with TemporaryDirectory() as place:
            yield Path(shutil.copytree(folder, Path(place) / "a"))

    return copy()


def test_a_link_is_not_taken_for_the_file(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    (folder / "config.json").rename(tmp_path / "elsewhere")
    (folder / "config.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Corrupt):
        commit.verify(folder)


def test_a_finished_folder_is_never_overwritten(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    commit.seal(other)
    with pytest.raises(StorageTrouble, match="never overwritten"):
        commit.move(other, folder)
    commit.verify(folder, full=True)


def test_committing_leaves_all_or_nothing(tmp_path: Path) -> None:
    with commit.committing(tmp_path / "good") as partial:
        (partial / "x").write_text("1")
    commit.verify(tmp_path / "good", full=True)
    with pytest.raises(RuntimeError), commit.committing(tmp_path / "bad") as partial:
        (partial / "x").write_text("1")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


def test_the_manifest_comes_last_and_what_is_left_out_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "checkpoint").write_text("1")
    (tmp_path / "x").write_text("1")
    commit.seal(tmp_path, leave=tmp_path / "scratch")
    assert set(commit.manifest(tmp_path)) == {"x"}
    with pytest.raises(Corrupt, match="added"):
        commit.verify(tmp_path)


def test_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    (tmp_path / f".state.json.{'a' * 32}").write_text("")
    (tmp_path / ".checkpoint-3.partial-0123abcd").mkdir()
    (tmp_path / ".checkpoint-3.partial-0123abcd" / "w").write_text("1")
    (tmp_path / ".gitattributes").write_text("")
    commit.remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".gitattributes"]


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    commit.write_json(file, {"이름": 1})
    with pytest.raises(ValueError, match="Out of range"):
        commit.write_json(file, float("nan"))
    assert json.loads(file.read_text(encoding="utf-8")) == {"이름": 1}
    assert "이름" in file.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_keeps_what_is_finished(small_disk: Path) -> None:
    folder = finished(small_disk)
    target = small_disk / "b"
    with pytest.raises(TryLater), commit.committing(target) as partial, storage(partial):
        (partial / "big").write_bytes(bytes(1 << 20))
    commit.verify(folder, full=True)
    assert [path.name for path in small_disk.iterdir()] == ["a"]
