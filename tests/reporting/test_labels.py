from hypothesis import given
from hypothesis import strategies as st

from kollama2.reporting.labels import WIDTH, Bubble, _candidates, place

HEIGHT = 340.0
points = st.lists(
    st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT), st.integers(1, 20)),
    min_size=1,
    max_size=12,
)


@given(points)
def test_no_name_covers_another_or_leaves_the_plot(found: list[tuple[float, float, int]]) -> None:
    bubbles = [Bubble(f"{i}" + "x" * size, x, y) for i, (x, y, size) in enumerate(found)]
    sides = place(bubbles, [one.name for one in bubbles], HEIGHT)
    boxes = [dict(_candidates(one))[sides[one.name]] for one in bubbles if one.name in sides]
    for i, box in enumerate(boxes):
        assert box.left >= -2
        assert box.right <= WIDTH + 2
        assert not any(box.meets(other) for other in boxes[:i])


def test_the_first_gets_the_right_side() -> None:
    assert place([Bubble("one", 20, 100)], ["one"], HEIGHT) == {"one": ("left", 22, 0)}
    assert place([Bubble("one", WIDTH - 5, 100)], ["one"], HEIGHT) == {"one": ("right", -22, 0)}
