from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.vlm.confidence import confidence
from nav_vlm_node.vlm.protocol import Token


def test_the_most_doubtful_side_counts() -> None:
    tokens = [Token("Turn", 0.5), Token(" le", 0.9), Token("ft", 0.8), Token(" 35", 0.1), Token(" degrees", 0.1)]
    assert confidence(tokens) == 0.8
    assert confidence([*tokens[:2], Token("ft", 0.2), *tokens[3:]]) == 0.2
    assert confidence([*tokens, Token(", then right", 0.3)]) == 0.3
    assert confidence([tokens[0], Token(" LEFT", 0.3)]) == 0.3


def test_grammar_and_numbers_do_not_count_where_there_is_a_side() -> None:
    assert confidence([Token("Turn", 0.01), Token(" left", 0.9), Token(" 20", 0.1), Token(".", 0.01)]) == 0.9


@pytest.mark.parametrize(("degrees", "counts"), [(5, False), (10, False), (15, True), (60, True)])
def test_a_side_counts_from_15_degrees_on(degrees: int, counts: bool) -> None:
    """Five degrees to the left are nearly five to the right; what says so then is the landmark."""
    before = [Token("Turn", 0.4), Token(" left", 0.3), Token(f" {degrees} degrees, then move 2.5 metres to the", 0.9)]
    after = [Token("Door", 0.8), Token(f" {degrees} degrees", 0.9), Token(" left", 0.3), Token(" at 2 metres.", 0.9)]
    assert confidence([*before, Token(" door.", 0.8)]) == (0.3 if counts else 0.8)
    assert confidence(after) == (0.3 if counts else 0.8)


def test_a_warning_does_not_count() -> None:
    """It is given however doubtful it is; the way that follows is as sure as ever. "2.5" does not end a sentence."""
    warning = [Token("Caution, chair 5 degrees", 0.9), Token(" left", 0.2), Token(" at 2.5 metres ahead.", 0.2)]
    assert confidence([*warning, Token(" Turn", 0.5), Token(" right", 0.8)]) == 0.8
    assert confidence([*warning, Token(" No", 0.7), Token(" exit in view.", 0.1)]) == 0.7


def test_without_a_side_the_verdict_counts() -> None:
    assert confidence([Token("No", 0.6), Token(" exit", 0.2), Token(" in view.", 0.3)]) == 0.6
    assert confidence([Token("Nothing", 0.4), Token(" in the way for 3 metres.", 0.9)]) == 0.4


def test_words_that_only_contain_one_do_not_count() -> None:
    assert confidence([Token("leftover", 0.4), Token(" right", 0.9)]) == 0.9


def test_without_a_direction_every_token_counts() -> None:
    assert confidence([Token("Hm", 0.6), Token(" well", 0.4)]) == 0.4
    assert confidence([]) == 0.0


@given(st.lists(st.tuples(st.text("left 35.", max_size=3), st.floats(0, 1)), max_size=8))
def test_is_one_of_the_probabilities(pairs: list[tuple[str, float]]) -> None:
    tokens = [Token(*pair) for pair in pairs]
    assert confidence(tokens) in [token.probability for token in tokens] or not tokens


def test_a_surer_token_never_lowers_it() -> None:
    tokens = [Token("Turn", 0.5), Token(" right", 0.4), Token(" 20 degrees", 0.6)]
    for i, token in enumerate(tokens):
        surer = [*tokens[:i], Token(token.text, 1.0), *tokens[i + 1 :]]
        assert confidence(surer) >= confidence(tokens) == pytest.approx(0.4)
