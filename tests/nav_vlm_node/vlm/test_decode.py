"""Token ids to text, as they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.vlm.decode import TextStream
from tests.tiny_models import Language, tiny_tokenizer

TOKENIZERS = {language: tiny_tokenizer(language) for language in ("t5", "opt")}  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 300), max_size=40), st.sampled_from(["t5", "opt"]))
def test_pieces_make_up_the_decoding(ids: list[int], language: Language) -> None:
    tokenizer = TOKENIZERS[language]
    stream = TextStream(tokenizer)
    pieces = [stream.push(token_id) for token_id in ids]
    whole = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False).lstrip()
    assert "".join(pieces) + stream.flush() == whole
    assert stream.flush() == ""


@pytest.mark.parametrize("language", ["t5", "opt"])
def test_a_word_of_several_tokens_stays_one_word(language: str) -> None:
    tokenizer = TOKENIZERS[language]
    text = "Caution, escalator 20 degrees left at 1.5 metres."
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(ids) > len(text.split())
    stream = TextStream(tokenizer)
    so_far = ""
    for token_id in ids:
        so_far += stream.push(token_id)
        assert text.startswith(so_far)  # never a blank within a word, nor one missing between two
    assert so_far == text


def test_half_a_character_is_held_back() -> None:
    tokenizer = TOKENIZERS["opt"]
    stream = TextStream(tokenizer)
    pieces = [stream.push(token_id) for token_id in tokenizer("a é😀!", add_special_tokens=False)["input_ids"]]
    assert "".join(pieces) == "a é😀!"
    assert "\ufffd" not in "".join(pieces)
    assert "" in pieces


def test_an_answer_that_ends_in_half_a_character() -> None:
    tokenizer = TOKENIZERS["opt"]
    stream = TextStream(tokenizer)
    ids = tokenizer("go 😀", add_special_tokens=False)["input_ids"]
    given_out = "".join(stream.push(token_id) for token_id in ids[:-1])
    assert given_out == "go "
    assert stream.flush() == "\ufffd"
