from kollama2.evaluation.sharing import Tree, branched

A, B, C, D, AB, BC = range(6)


def test_texts_branch_off_behind_their_context() -> None:
    assert branched((A, B), [(A, B, C), (A, B, C, D)]) == [((A, B), (C,)), ((A, B), (C, D))]


def test_a_token_over_the_border_is_scored_in_every_text() -> None:
    # The second text merges the context's last token; the first pays for it too.
    assert branched((A, B), [(A, B, C), (A, BC)]) == [((A,), (B, C)), ((A,), (BC,))]
    assert branched((A, B), [(AB, C), (A, B, C)]) == [((), (AB, C)), ((), (A, B, C))]


def test_a_text_that_adds_no_id_has_no_continuation() -> None:
    assert branched((A, B), [(A, B), (A, B, C)]) == [((A, B), ()), ((A, B), (C,))]
    assert branched((A, B), [(A,), (A, BC)]) == [((A,), ()), ((A,), (BC,))]


def test_continuations_branch_off_where_they_differ() -> None:
    row = Tree((A, B))
    for number, continuation in enumerate([(C, D, A), (C, B, A, D), (C,), (C, D, B, B)]):
        row.add(number, continuation)
    assert row.ids == [A, B, C, D, B, A, B]
    assert row.parents == [1, 2, 2, 4, 3]
    assert row.places == [[1, 2, 3], [1, 2, 4, 5], [1], [1, 2, 3, 6]]
