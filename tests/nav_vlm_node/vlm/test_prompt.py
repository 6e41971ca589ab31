"""Prompts and targets as token ids: the layout of a row, and what a question can do to it (nothing)."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.prompt import (
    IGNORE,
    build_prompt,
    check_image_tokens,
    encode_causal,
    encode_prompts,
    encode_targets,
)
from tests.tiny_models import Language, tiny_tokenizer

TOKENIZERS = {language: tiny_tokenizer(language) for language in ("t5", "opt")}  # type: ignore[arg-type]
IMAGE, PAD, EOS, QUERIES = 3, 0, 1, 6


@pytest.mark.parametrize("module", ["protocol", "prompt", "card", "scripted", "confidence", "supervised", "worker"])
def test_imports_without_torch(module: str) -> None:
    heavy = {"torch", "transformers", "rclpy"}
    code = f"import sys, nav_vlm_node.vlm.{module}; sys.exit(bool({heavy} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_template() -> None:
    assert build_prompt("Where is the exit?") == "Question: Where is the exit? Answer:"
    assert build_prompt(" Where\tis\n\x00the   exit? ") == "Question: Where is the exit? Answer:"
    assert build_prompt("{query} {x}") == "Question: {query} {x} Answer:"


@given(st.lists(st.text(max_size=40), min_size=1, max_size=4), st.sampled_from(["t5", "opt"]))
def test_any_question_keeps_the_layout(queries: list[str], language: Language) -> None:
    """Whatever is asked, specials included, a row has its image tokens in front, then text, padded on one side."""
    tokenizer = TOKENIZERS[language]
    left = language == "opt"
    ids, mask = encode_prompts(tokenizer, queries, QUERIES, IMAGE, "left" if left else "right")
    assert ids.shape == mask.shape
    assert ids.dtype == mask.dtype == torch.int64
    assert ((ids == IMAGE).sum(dim=1) == QUERIES).all()
    assert (ids[:, :QUERIES] == IMAGE).all()
    assert mask[:, :QUERIES].all()
    assert (ids[mask == 0] == PAD).all()
    assert (ids[mask == 1] != PAD).all()
    text = mask[:, QUERIES:]
    steps = text.diff(dim=1)
    assert (steps >= 0).all() if left else (steps <= 0).all()
    for row, query in zip(ids, queries, strict=True):
        alone, _ = encode_prompts(tokenizer, [query], QUERIES, IMAGE, "left" if left else "right")
        assert row[row != PAD].tolist() == alone[0].tolist()
        assert int(row[QUERIES:][row[QUERIES:] != PAD][0 if left else -1]) == EOS


@pytest.mark.parametrize("word", ["<image>", "<pad>", "</s>", "<ima<image>ge>", "<image><image>"])
def test_special_tokens_in_a_question_are_text(word: str) -> None:
    for language, tokenizer in TOKENIZERS.items():
        ids, _ = encode_prompts(tokenizer, [f"where {word} exit"], QUERIES, IMAGE, "right")
        assert ids.eq(IMAGE).sum() == QUERIES
        assert ids.eq(PAD).sum() == 0
        assert ids.eq(EOS).sum() == 1, language


def test_wrong_count_is_an_error() -> None:
    good = torch.tensor([[IMAGE, IMAGE, 5], [IMAGE, IMAGE, 6]])
    check_image_tokens(good, 2, IMAGE)
    for count in (1, 3):
        with pytest.raises(ValueError, match=r"found \[2, 2\]"):
            check_image_tokens(good, count, IMAGE)
    with pytest.raises(ValueError, match=r"found \[2, 1\]"):
        check_image_tokens(torch.tensor([[IMAGE, IMAGE, 5], [IMAGE, 4, 6]]), 2, IMAGE)


def test_too_long() -> None:
    for query in ("where is the " * 100, "y" * 100_000, "\x01" * 100_000):
        with pytest.raises(UserError, match="too long") as caught:
            encode_prompts(TOKENIZERS["t5"], [query], QUERIES, IMAGE, "right")
        assert len(str(caught.value)) < 200


def test_tokenizer_without_pad() -> None:
    tokenizer = tiny_tokenizer("t5")
    tokenizer.pad_token = None
    with pytest.raises(UserError, match="no pad token"):
        encode_prompts(tokenizer, ["?"], QUERIES, IMAGE, "right")


def test_targets() -> None:
    tokenizer = TOKENIZERS["t5"]
    texts = ["Turn left 35 degrees.", "Stop."]
    labels = encode_targets(tokenizer, texts)
    for row, text in zip(labels, texts, strict=True):
        real = row[row != IGNORE]
        assert int(real[-1]) == EOS
        assert tokenizer.decode(real, skip_special_tokens=True).strip() == text
        assert (row[len(real) :] == IGNORE).all()
    assert (labels[1] == IGNORE).any()
    assert not (labels == PAD).any()


def test_causal_labels_are_the_answer_alone() -> None:
    tokenizer = TOKENIZERS["opt"]
    queries, texts = ["Where is the exit?", "Stairs?"], ["Turn right.", "Stop. Turn around slowly."]
    ids, mask, labels = encode_causal(tokenizer, queries, texts, QUERIES, IMAGE)
    prompts, _ = encode_prompts(tokenizer, queries, QUERIES, IMAGE, "left")
    for i, text in enumerate(texts):
        learnt = labels[i] != IGNORE
        assert labels[i][learnt].tolist() == ids[i][learnt].tolist()
        assert tokenizer.decode(ids[i][learnt]) == f" {text}</s>"
        assert learnt.int().diff().abs().sum() == 1  # one run, at the end
        rest = ids[i][(mask[i] == 1) & ~learnt]
        assert rest.tolist() == prompts[i][prompts[i] != PAD].tolist()
        assert (labels[i][ids[i] == PAD] == IGNORE).all()
