from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.prompt import IGNORE
from nav_vlm_training.vlms import checks
from nav_vlm_training.vlms.checks import checked_prompts
from nav_vlm_training.vlms.loading import load_other
from nav_vlm_training.vlms.model import answer_loss, answers
from nav_vlm_training.vlms.prompts import Prompts, joined, shapes
from tests.nav_vlm_training.vlms.conftest import Loaded, picture

QUESTIONS = ("Exit?", "Where is the door?", "How do I get to the nearest chair, please, from here?")
ANSWERS = ("Stop.", "Turn left 35 degrees, then move 4 metres to the door.", "No exit in view.")


@pytest.mark.parametrize(
    ("family", "template"),
    [
        ("llava", "<image>Question: {query} Answer:"),
        ("instructblip", "Question: {query} Answer:"),  # its processor adds the picture's tokens by itself
        ("git", "Question: {query} Answer:"),  # has none
        ("paligemma", "Question: {query} Answer:"),
        ("idefics3", "<s>user:<image>{query}assistant: "),  # the processor's chat template
    ],
)
def test_each_family_is_asked_as_its_processor_wants(loaded: Loaded, family: str, template: str) -> None:
    other, prompts = loaded(family)
    assert prompts.template == template
    image_id = getattr(other.model.config, "image_token_id", None)
    row = prompts.row(picture(1), QUESTIONS[1])
    count = int((row["input_ids"] == image_id).sum()) if image_id is not None else 0
    assert count == {"llava": 4, "instructblip": 4, "git": 0, "paligemma": 4, "idefics3": 4}[family]
    assert "Where is the door?" in other.tokenizer.decode(row["input_ids"][0], skip_special_tokens=True)


def test_only_the_answer_and_its_end_are_learnt(loaded: Loaded, family: str) -> None:
    other, prompts = loaded(family)
    rows = [prompts.row(picture(k), question) for k, question in enumerate(QUESTIONS)]
    taught = prompts.taught(rows, ANSWERS)
    for labels, answer in zip(taught.labels, ANSWERS, strict=True):
        ids = labels[labels != IGNORE].tolist()
        assert ids[-1] == other.ends[-1]
        assert other.tokenizer.decode(ids[:-1], skip_special_tokens=True).strip() == answer
    if not other.seq2seq:  # the labels stand where the row has the same tokens
        at = taught.labels != IGNORE
        assert taught.labels[at].equal(taught.inputs["input_ids"][at])
        lengths = [row["input_ids"].shape[1] + int(n) for row, n in zip(rows, at.sum(1), strict=True)]
        assert taught.inputs["attention_mask"].sum(1).tolist() == lengths
    assert taught.tokens == int((taught.labels != IGNORE).sum())


@settings(max_examples=6, deadline=None)
@given(order=st.permutations(range(3)), family=st.sampled_from(("llava", "instructblip", "git", "paligemma")))
def test_padding_changes_no_loss(tiny: dict[str, Path], order: list[int], family: str) -> None:
    other = load_other(tiny[family], torch.device("cpu"), torch.float32)
    prompts = checked_prompts(other, picture(0))
    rows = [prompts.row(picture(k), QUESTIONS[k]) for k in order]
    told = [ANSWERS[k] for k in order]
    with torch.no_grad():
        together = float(answer_loss(other, prompts.taught(rows, told)))
        alone = sum(float(answer_loss(other, prompts.taught([r], [t]))) for r, t in zip(rows, told, strict=True))
    assert together == pytest.approx(alone, rel=1e-5)


def test_rows_of_one_shape_go_together_and_others_do_not(loaded: Loaded, family: str) -> None:
    other, prompts = loaded(family)
    rows = [prompts.row(picture(k), "Where is the door?") for k in range(3)]
    assert len({shapes(row) for row in rows}) == 1
    assert shapes(prompts.row(picture(0), QUESTIONS[2])) != shapes(rows[0])
    together = answers(other, joined(rows), 6)
    alone = [answers(other, row, 6)[0] for row in rows]
    assert [a.text for a in together] == [a.text for a in alone]
    assert [a.confidence for a in together] == pytest.approx([a.confidence for a in alone], rel=1e-4)
    assert len({a.text for a in together}) > 1  # they look at the picture


def test_an_image_token_in_a_question_is_no_image_token(loaded: Loaded) -> None:
    other, prompts = loaded("llava")
    row = prompts.row(picture(1), "Where is <image> the </s> door\n?")
    assert int((row["input_ids"] == other.model.config.image_token_id).sum()) == 4
    assert int((row["input_ids"] == other.tokenizer.eos_token_id).sum()) == 0
    with pytest.raises(UserError, match="question is too long"):
        prompts.row(picture(1), "door " * 9000)


def test_what_would_copy_its_answers_is_refused(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """PaliGemma reads all that is not marked as an answer in both directions; the mark is found by trying."""
    other, prompts = loaded("paligemma")
    assert prompts.answer_type == 1
    assert checks._looks_ahead(other, Prompts(other, picture(0), 0), picture(0))
    original = Prompts._followed
    monkeypatch.setattr(
        Prompts, "_followed", lambda self, row, ids: {**original(self, row, ids), "token_type_ids": _zeros(row, ids)}
    )
    with pytest.raises(UserError, match="only learn to copy"):
        checked_prompts(other, picture(0))


def _zeros(row: dict[str, torch.Tensor], ids: list[int]) -> torch.Tensor:
    return torch.zeros(1, row["input_ids"].shape[1] + len(ids), dtype=torch.long)


def test_what_does_not_look_at_the_picture_is_refused(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    other, prompts = loaded("llava")
    blank = prompts.row(np.zeros((32, 32, 3), np.uint8), "Where is the door?")["pixel_values"]
    original = Prompts.row
    monkeypatch.setattr(Prompts, "row", lambda *args: {**original(*args), "pixel_values": blank})
    with pytest.raises(UserError, match="answers without looking at the picture"):
        checked_prompts(other, picture(0))


def _copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def test_what_is_no_vision_language_model_is_one_line(tiny: dict[str, Path], tmp_path: Path) -> None:
    def said(directory: Path) -> str:
        with pytest.raises(UserError) as raised:
            load_other(directory, torch.device("cpu"), torch.float32)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    assert "no model directory" in said(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "config.json is missing" in said(tmp_path / "empty")
    text = _copied(tiny["llava"], tmp_path / "text")
    (text / "config.json").write_text(json.dumps({"model_type": "t5"}))
    assert "holds a 't5' model, which is not among the vision-language models" in said(text)
    bare = _copied(tiny["llava"], tmp_path / "bare")
    for name in ("processor_config.json", "preprocessor_config.json"):
        (bare / name).unlink(missing_ok=True)
    assert str(bare) in said(bare)
    pickled = _copied(tiny["llava"], tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert "is a pickle" in said(pickled)
    cut = _copied(tiny["llava"], tmp_path / "cut")
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:-4])
    assert "is damaged" in said(cut)
    other = _copied(tiny["llava"], tmp_path / "other")
    shutil.copyfile(tiny["git"] / "model.safetensors", other / "model.safetensors")
    assert "lack" in said(other)
    foreign = _copied(tiny["llava"], tmp_path / "foreign")
    config = json.loads((foreign / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = "two"
    (foreign / "config.json").write_text(json.dumps(config))
    assert "does not load" in said(foreign)
