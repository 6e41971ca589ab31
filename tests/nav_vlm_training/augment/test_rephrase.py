from __future__ import annotations

import math
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import T5Config, T5ForConditionalGeneration

from nav_vlm_node.errors import UserError
from nav_vlm_node.guard import Limits, objection
from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.language import parse, render_canonical
from nav_vlm_training.augment import rephrase as rephrase_module
from nav_vlm_training.augment.rephrase import Rephraser, kept, rephrase, rephrase_all
from nav_vlm_training.augment.steps import same_steps, says_the_same
from tests.nav_vlm_training.augment.test_mirror import STEPS
from tests.tiny_models import tiny_tokenizer

GUIDE = "Caution, chair 20 degrees left at 1.5 metres. Turn left 35 degrees, then move 4 metres to the door."


@settings(deadline=None, max_examples=50)
@given(STEPS, st.integers(0, 99))
def test_every_rephrasing_keeps_the_steps(steps: list[Step], seed: int) -> None:
    text = render_canonical(steps)
    for other in rephrase(text, 3, random.Random(seed)):
        assert other != text
        assert same_steps(parse(other).steps, parse(text).steps)
        assert not parse(other).unparsed


@pytest.mark.parametrize("action", list(Action))
def test_there_are_other_words_for_every_action(action: Action) -> None:
    step = Step(action, math.radians(40), 3.0, "exit sign")
    text = render_canonical([step])
    assert rephrase(text, 2, random.Random(0)), text


def test_most_guidance_has_several() -> None:
    assert len(rephrase(GUIDE, 5, random.Random(0))) == 5


def test_no_rephrasing_promises_that_the_way_is_clear_or_is_withheld() -> None:
    for text in ("Nothing found in the way.", "Nothing found in the way for 3 metres.", GUIDE):
        for other in rephrase(text, 9, random.Random(1)):
            assert not {"clear", "safe", "free"} & set(other.lower().rstrip(".").split())
            parsed = parse(other)
            assert objection(other, parsed.steps, parsed.unparsed, 1.0, Limits()) is None, other


def test_what_loses_a_step_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check decides, not the grammar: a grammar with mistakes lets nothing wrong through."""
    wrong = ((re.compile(r"Turn (left|right) (\d+) degrees"), ("Turn right", r"Turn \1", "Look around")),)
    monkeypatch.setattr(rephrase_module, "_RULES", wrong)
    assert rephrase("Turn left 35 degrees.", 3, random.Random(0)) == []


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("Turn 35 degrees to the left.", True),
        ("Turn 35 degrees to the right.", False),
        ("Turn left.", False),
        ("Turn left 35 degrees, then stop.", False),
        ("Do not turn left 35 degrees.", False),
        ("Turn left 35 degrees. Blue skies follow.", False),
        ("", False),
    ],
)
def test_what_says_the_same(other: str, same: bool) -> None:
    assert says_the_same("Turn left 35 degrees.", other) is same
    assert says_the_same(other, "Turn left 35 degrees.") is same


def test_a_models_candidates_are_checked() -> None:
    text = "Turn left 35 degrees."
    candidates = [text, "Rotate 35 degrees left.", "Rotate  35 degrees left.", "Turn right 35 degrees.", "Banana."]
    assert kept(text, candidates) == ["Rotate 35 degrees left."]

    class Model(Rephraser):
        def __init__(self) -> None: ...

        def __call__(self, text: str, count: int) -> list[str]:
            return candidates

    found = rephrase_all({text}, 2, 0, Model())[text]
    assert found[0] == "Rotate 35 degrees left."
    assert len(set(found)) == 2


def test_the_same_seed_gives_the_same_words() -> None:
    texts = {GUIDE, "Stop.", "Turn around."}
    assert rephrase_all(texts, 3, 1) == rephrase_all(texts, 3, 1)
    assert rephrase_all(texts, 3, 1) != rephrase_all(texts, 3, 2)
    assert rephrase_all({"The door is over there."}, 2, 0) == {"The door is over there.": ()}  # not canonical


def test_a_real_model_that_knows_nothing_changes_nothing(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer("t5")
    config = T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, num_heads=2, d_ff=16, num_layers=1, num_decoder_layers=1,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    model = Rephraser(tmp_path / "model")
    assert len(model("Turn left 35 degrees.", 3)) == 3
    assert kept("Turn left 35 degrees.", model("Turn left 35 degrees.", 3)) == []


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model to rephrase with at"):
        Rephraser(tmp_path / "none")
    with pytest.raises(UserError, match="is no sequence-to-sequence model that loads"):
        Rephraser(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(UserError, match="is a pickle"):
        Rephraser(tmp_path)
