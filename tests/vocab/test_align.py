"""The same text in two tokenizers: matched by bytes, counted, and cut where both agree."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.model.handover import copy_tokenizer
from kollama2.vocab.align import Aligned, aligned, alignments, cut
from kollama2.vocab.expand import expand
from kollama2.vocab.runtimes import Runtimes, runtimes
from kollama2.vocab.settings import VocabSettings
from tests import tiny


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runtimes, Runtimes]:
    """A tokenizer, and the same with pieces for the Korean of `tests.tiny`."""
    folder = tmp_path_factory.mktemp("two")
    old = tiny.write_tokenizer(folder / "old")
    new = folder / "new"
    new.mkdir()
    copy_tokenizer(old, new)
    expand(old, new, tiny.KOREAN * 5, VocabSettings(size=40, syllables=False))
    return runtimes(old), runtimes(new)


def text(read: Runtimes, ids: list[int]) -> str:
    """What ids say, with the spaces that a tokenizer's decode leaves out at the beginning."""
    return b"".join(
        bytes([int(piece[3:-1], 16)])
        if (piece := read.pieces[i]).startswith("<0x")
        else piece.replace("▁", " ").encode()
        for i in ids
    ).decode()


def test_ends_are_where_both_have_read_the_same(two: tuple[Runtimes, Runtimes]) -> None:
    old, new = two
    (pair,) = aligned(old, new, [tiny.KOREAN[0]])
    assert text(old, pair.old) == text(new, pair.new) == f" {tiny.KOREAN[0]}"
    assert len(pair.new) < len(pair.old) / 2
    assert pair.ends[-1] == (len(pair.old) - 1, len(pair.new) - 1)
    for old_end, new_end in pair.ends:
        sides = [read.widths for read in two]
        ids = [pair.old[: old_end + 1], pair.new[: new_end + 1]]
        spent = [sum(width[i] for i in side) for width, side in zip(sides, ids, strict=True)]
        assert spent[0] == spent[1]


def test_an_unknown_character_that_only_one_can_write_leaves_the_text_out() -> None:
    def spelled(width: int) -> Runtimes:
        encoders = {"only": lambda texts: [[0] * len(one) for one in texts]}
        return Runtimes(encoders, lambda ids: "", ["a"], [width])

    assert aligned(spelled(1), spelled(2), ["aaa"]) == []
    assert len(aligned(spelled(1), spelled(1), ["aaa"])) == 1


def test_counts_say_what_stood_where_a_piece_stands() -> None:
    pairs = [
        Aligned(old=[1, 2, 3, 4], new=[10, 4], ends=[(2, 0), (3, 1)]),
        Aligned(old=[1, 2, 5], new=[11, 5], ends=[(1, 0), (2, 1)]),
        # No common end inside: both new pieces face all three old ones.
        Aligned(old=[1, 2, 3], new=[11, 12], ends=[(2, 1)]),
    ]
    assert alignments(pairs, [10, 11, 12]) == [
        Counter({1: 1, 2: 1, 3: 1}),
        Counter({1: 2, 2: 2, 3: 1}),
        Counter({1: 1, 2: 1, 3: 1}),
    ]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), max_size=40), st.integers(1, 12))
def test_a_long_text_is_cut_where_both_agree(runs: list[tuple[int, int]], longest: int) -> None:
    # Runs of old and new tokens between two common ends.
    ends, at = list[tuple[int, int]](), (0, 0)
    for old, new in runs:
        at = (at[0] + old, at[1] + new)
        ends.append((at[0] - 1, at[1] - 1))
    pair = Aligned(list(range(at[0])), [1000 + i for i in range(at[1])], ends)
    parts = cut(pair, longest)
    assert all(1 <= len(part.old) <= longest for part in parts)
    # Every token stands in one part, in order; only runs that are too long are left out.
    kept = [i for part in parts for i in part.old]
    stretches = zip(ends, runs, strict=True)
    fitting = [range(end + 1 - old, end + 1) for (end, _), (old, _) in stretches if old <= longest]
    assert kept == [i for run in fitting for i in run]
    back = {old: 1000 + new for old, new in ends}
    for part in parts:
        assert part.ends[-1] == (len(part.old) - 1, len(part.new) - 1)
        assert all(back[part.old[old]] == part.new[new] for old, new in part.ends)
    if len(pair.old) <= longest and pair.old:
        assert parts == [pair]


def test_parts_of_a_text_say_what_it_says(two: tuple[Runtimes, Runtimes]) -> None:
    old, new = two
    (pair,) = aligned(old, new, [" ".join(tiny.KOREAN)])
    parts = cut(pair, 30)
    assert len(parts) >= 3
    assert [i for part in parts for i in part.old] == pair.old
    assert [i for part in parts for i in part.new] == pair.new
    for part in parts:
        assert text(old, part.old) == text(new, part.new)
