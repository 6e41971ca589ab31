from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.vlm.confidence import confidence
from nav_vlm_node.vlm.protocol import Token


def test_the_worst_direction_counts() -> None:
    tokens = [
        Token("Turn", 0.5),
        Token(" le", 0.9),
        Token("ft", 0.8),
        Token(" 3", 0.95),
        Token("5", 0.7),
        Token(" deg", 0.1),
    ]
    assert confidence(tokens) == 0.7
    assert confidence([*tokens[:2], Token("ft", 0.2), *tokens[3:]]) == 0.2
    assert confidence([tokens[0], Token(" LEFT", 0.3)]) == 0.3


def test_grammar_does_not_count_where_there_is_a_direction() -> None:
    assert confidence([Token("Turn", 0.01), Token(" left", 0.9), Token(".", 0.01)]) == 0.9


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
    tokens = [Token("Turn", 0.5), Token(" right", 0.4), Token(" 20", 0.6)]
    for i, token in enumerate(tokens):
        surer = [*tokens[:i], Token(token.text, 1.0), *tokens[i + 1 :]]
        assert confidence(surer) >= confidence(tokens) == pytest.approx(0.4)
