"""What a machine computes fast: by what its processors say of themselves."""

from pathlib import Path

import pytest

from kollama2.engine import arithmetic


def machine(
    monkeypatch: pytest.MonkeyPatch, flags: str = "", cards: tuple[float, ...] | None = None
) -> None:
    monkeypatch.setattr(arithmetic, "_cpu_flags", lambda: frozenset(flags.split()))
    monkeypatch.setattr(arithmetic, "gpu_names", lambda: ["card"] * len(cards or ()))
    monkeypatch.setattr(arithmetic, "_capabilities", lambda: cards or ())


@pytest.mark.parametrize(
    ("flags", "cards", "device", "dtype"),
    [
        ("avx2 avx512f", None, "auto", "float32"),
        ("avx2 avx512f avx512_bf16", None, "auto", "bfloat16"),
        ("fp asimd bf16", None, "cpu", "bfloat16"),
        ("avx2", (8.0,), "auto", "bfloat16"),
        ("avx2", (8.0,), "cpu", "float32"),
        ("avx512_bf16", (9.0, 7.5), "cuda", "float32"),
    ],
)
def test_what_is_fast(
    monkeypatch: pytest.MonkeyPatch,
    flags: str,
    cards: tuple[float, ...] | None,
    device: str,
    dtype: str,
) -> None:
    machine(monkeypatch, flags, cards)
    assert arithmetic.fast_dtype(device) == dtype


def test_the_flags_of_a_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    monkeypatch.setattr(arithmetic, "CPUINFO", file)
    arithmetic._cpu_flags.cache_clear()
    assert arithmetic._cpu_flags() == frozenset()
    file.write_text("processor\t: 0\nflags\t\t: fpu amx_bf16\nbugs\t\t:\n")
    arithmetic._cpu_flags.cache_clear()
    assert arithmetic._cpu_flags() == {"fpu", "amx_bf16"}
    arithmetic._cpu_flags.cache_clear()


def test_matrices_are_timed() -> None:
    found = arithmetic.cpu_flops(1)
    assert found is not None
    assert 1e8 < found < 1e13
