from __future__ import annotations

import json
from pathlib import Path

import pytest

from nav_vlm_training import cli
from nav_vlm_training.commands.fit import OPTIONS
from nav_vlm_training.fit.config import FitConfig, to_json
from tests.nav_vlm_training.datasets import make_dataset
from tests.tiny_models import make_tiny_blip2


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    make_tiny_blip2(tmp_path / "model")
    make_dataset(tmp_path / "set", scenes=3, views=1, splits=("train", "train", "val"))
    return [
        "fit", "--model", str(tmp_path / "model"), "--data", str(tmp_path / "set"), "--run", str(tmp_path / "run"),
        "--device", "cpu", "--batch", "6", "--epochs", "1", "--max-new-tokens", "6", "--val-questions", "4",
    ]  # fmt: skip


def test_every_setting_is_an_option_and_no_other() -> None:
    assert set(OPTIONS) | {"mirror", "balanced"} == set(to_json(FitConfig()))


def test_train_and_the_same_command_again(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*words, "--variant", "lm_only", "--rank", "4", "--json"]) == 0
    printed = capsys.readouterr()
    figures = json.loads(printed.out)
    assert figures["updates"] == 2
    assert figures["direction_accuracy"]["n"] > 0
    assert "lm_only: 2,304 parameters (LoRA r 4, alpha 32): language_model 2,304; 12 questions" in printed.err
    assert "sample/s" in printed.err
    assert cli.main([*words, "--variant", "lm_only", "--rank", "4"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run")
    assert cli.main([*words, "--variant", "joint"]) == 2
    assert "is of a run with other settings" in capsys.readouterr().err


def test_named_settings(words: list[str], tmp_path: Path) -> None:
    assert cli.main([*words, "--settings", "paper", "--cache", str(tmp_path / "cache")]) == 0
    head = json.loads((tmp_path / "run" / "run.jsonl").read_text().splitlines()[0])
    assert (head["config"]["rate"], head["config"]["optimizer"], head["config"]["batch"]) == (5e-5, "adam", 6)
    assert list((tmp_path / "cache").rglob("*.safetensors"))
    assert head["command"].startswith("nav-vlm-train fit --model ")


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (["--variant", "best"], "no variant 'best'"),
        (["--rate", "0"], "--rate 0.0: give a number above 0"),
        (["--save-every", "0"], "--save-every 0: give a number from 1 up"),
        (["--device", "tpu"], "device 'tpu' is not known"),
        (["--data", "/nowhere"], "no data set at /nowhere"),
        (["--flip"], "unrecognized arguments: --flip"),
        (["--rephrase", "1", "--rephraser", "/nowhere"], "no model to rephrase with at /nowhere"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], added: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, *added]) == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert printed[-1].startswith(f"nav-vlm-train: error: {said}")
    assert not (tmp_path / "run").exists()
