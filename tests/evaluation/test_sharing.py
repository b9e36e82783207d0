from kollama2.evaluation.sharing import branched

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
