from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nav_vlm_node.errors import UserError
from nav_vlm_node.vlm.card import read_model_card
from nav_vlm_training import cli
from nav_vlm_training.evaluation.evaluate import evaluate
from nav_vlm_training.fit import merging
from nav_vlm_training.fit.config import FitConfig
from nav_vlm_training.fit.loop import fit
from nav_vlm_training.fit.merging import MergePlan, merge
from nav_vlm_training.fit.setup import FitPlan
from tests.nav_vlm_training.fit.conftest import SHORT
from tests.nav_vlm_training.fit.test_outcome import answer


@pytest.fixture(scope="module")
def trained(models: dict[str, Path], data: Path, tmp_path_factory: pytest.TempPathFactory) -> FitPlan:
    config = FitConfig(**{**SHORT, "variant": "joint", "metric": "loss", "rate": 0.05, "epochs": 3})
    run = tmp_path_factory.mktemp("trained") / "run"
    done = FitPlan(data=data, run=run, model=models["t5"], config=config, quiet=True, device="cpu")
    fit(done)
    return done


@pytest.fixture
def merging_plan(trained: FitPlan, tmp_path: Path) -> MergePlan:
    assert trained.model is not None
    return MergePlan(
        model=trained.model, adapter=trained.run / "adapter", out=tmp_path / "merged", data=trained.data, device="cpu",
        quiet=True,
    )  # fmt: skip


def test_merged_it_answers_the_same(merging_plan: MergePlan) -> None:
    figures = merge(merging_plan)
    assert figures["same_answers"] == 1.0
    assert figures["before"]["n"] == figures["after"]["n"] == 12
    assert figures["before"]["adapter"] == "adapter"
    assert figures["after"]["adapter"] == ""
    assert answer(merging_plan.out) == answer(merging_plan.model, str(merging_plan.adapter))
    assert answer(merging_plan.out) != answer(merging_plan.model)
    card = json.loads((merging_plan.out / "nav_vlm.json").read_text())
    assert card["metrics"]["direction_accuracy"] == figures["after"]["direction_accuracy"]["value"]
    assert card["merged_from"] == {"base": "tiny-t5", "adapter": "adapter"}
    assert read_model_card(merging_plan.out).adapters == {}
    assert {t.dtype for t in load_file(merging_plan.out / "model.safetensors").values()} == {torch.float32}


def test_a_quantised_base_is_refused(merging_plan: MergePlan, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(merging_plan.model, tmp_path / "base"))
    plan = MergePlan(**{**vars(merging_plan), "model": copied})
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "quantization_config": {"load_in_8bit": True}}))
    with pytest.raises(UserError, match=r"is quantised .*merge into the base as it was before, then quantise"):
        merge(plan)
    (copied / "config.json").write_text(json.dumps(config))
    tensors = load_file(copied / "model.safetensors")
    tensors["language_projection.weight"] = tensors["language_projection.weight"].to(torch.int8)
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="it holds I8"):
        merge(plan)
    assert not plan.out.exists()


def test_nothing_is_left_where_it_went_wrong(merging_plan: MergePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = evaluate, [0]

    def worse(plan: Any) -> Any:
        evaluation = original(plan)
        calls[0] += 1
        evaluation.figures["direction_accuracy"]["value"] = 0.9 if calls[0] == 1 else 0.5
        return evaluation

    monkeypatch.setattr(merging, "evaluate", worse)
    with pytest.raises(UserError, match=r"merged, it is right in 0\.500 of the directions, before in 0\.900"):
        merge(merging_plan)
    assert not [path for path in merging_plan.out.parent.iterdir() if "merged" in path.name]


def test_what_is_there_is_not_overwritten(merging_plan: MergePlan) -> None:
    merging_plan.out.mkdir()
    with pytest.raises(UserError, match="is there already; give another --out"):
        merge(merging_plan)


def test_the_command(merging_plan: MergePlan, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "merge", "--model", str(merging_plan.model), "--adapter", str(merging_plan.adapter), "--data",
        str(merging_plan.data), "--out", str(merging_plan.out), "--device", "cpu", "--limit", "4",
    ]  # fmt: skip
    assert cli.main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["same_answers"] == 1.0
    assert printed["after"]["n"] == 4
    assert cli.main(words) == 2
    assert "is there already" in capsys.readouterr().err
