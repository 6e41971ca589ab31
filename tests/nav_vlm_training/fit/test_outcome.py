from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import read_adapter_card, read_model_card
from nav_vlm_node.vlm.load import load_engine
from nav_vlm_node.vlm.prompt import PROMPT_TEMPLATE
from nav_vlm_training.fit import outcome
from nav_vlm_training.fit.loop import fit
from tests.nav_vlm_node.vlm.conftest import picture
from tests.nav_vlm_training.fit.conftest import Planned

QUERY = "Where is the door?"
HEAD, EMBEDDING = "language_model.lm_head.weight", "language_model.shared.weight"


def answer(model: Path, adapter: str = "") -> str:
    engine: Any = load_engine(model, adapter=adapter, device="cpu")
    return str(engine.generate_batch([engine.encode(picture(0))], [QUERY], max_new_tokens=12)[0][0])


def test_the_node_loads_what_training_leaves(plan: Planned, language: str) -> None:
    done = plan(model=language, variant="joint", metric="loss", rate=0.05, epochs=3)
    fitted = fit(done)
    assert done.model is not None
    adapter = done.run / "adapter"
    assert answer(done.model, str(adapter)) != answer(done.model)
    card = read_adapter_card(adapter)
    assert card.name == "joint"
    assert card.metrics["direction_accuracy"] == fitted.figures["direction_accuracy"]["value"]
    assert card.data_sha256 == "0" * 64
    assert card.prompt == PROMPT_TEMPLATE
    for path in adapter.iterdir():  # nothing of this machine
        assert str(done.model) not in path.read_text(errors="ignore")
        assert str(done.run.parent) not in path.read_text(errors="ignore")


def test_the_card_tells_what_it_is(plan: Planned) -> None:
    done = plan(variant="two_stage", command="nav-vlm-train fit --data d --run r")
    fitted = fit(done)
    text = (done.run / "adapter" / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: peft\nbase_model: tiny-t5\n")
    for part in (
        "two_stage: ",
        "language_model ",
        "vision_model ",
        "nav-vlm-train fit --data d --run r",
        "| rate | 0.01 |",
    ):
        assert part in text
    share = fitted.figures["direction_accuracy"]
    assert f"| direction_accuracy | {share['value']:.3f} (" in text
    assert "sha256 `000000000000`" in text


def test_three_frames_are_refused_where_one_is_looked_at(plan: Planned) -> None:
    done = plan(variant="frames_3")
    fit(done)
    assert json.loads((done.run / "adapter" / "nav_vlm.json").read_text())["frames"] == 3
    assert done.model is not None
    with pytest.raises(UserError, match=r"looks at 3 pictures at a time, and here it would see one"):
        answer(done.model, str(done.run / "adapter"))


def test_a_whole_model_is_one(plan: Planned, language: str) -> None:
    """3: with the head that it had, which training moved, and not with its embedding."""
    done = plan(model=language, variant="full", rate=0.02, metric="loss")
    fit(done)
    assert done.model is not None
    card = read_model_card(done.run / "model")
    assert card.name == f"tiny-{language}-full"
    assert card.view == read_model_card(done.model).view
    assert answer(done.run / "model") != answer(done.model)
    if language == "t5":
        tensors, before = (load_file(model / "model.safetensors") for model in (done.run / "model", done.model))
        assert not torch.equal(tensors[HEAD], tensors[EMBEDDING])
        assert not torch.equal(tensors[HEAD], before[HEAD])


def test_an_adapter_is_there_whole_or_as_it_was(plan: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    done = plan()
    fit(done)
    before = {path.name: path.read_bytes() for path in (done.run / "adapter").iterdir()}

    def full(*arguments: Any) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(outcome, "render", full)
        with pytest.raises(UserError, match=r"cannot write .*adapter: No space left on device"):
            fit(done)
    assert {path.name: path.read_bytes() for path in (done.run / "adapter").iterdir()} == before
    assert [path.name for path in done.run.iterdir() if path.name.startswith(".")] == []
