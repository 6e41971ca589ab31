"""The paper's files over stand-in pictures: prepare, fit, evaluate and report, a command each, for T5 and for OPT.

The lines are written by hand in the form of the paper's files, odd ones among them; the tools that make stand-in
pictures and a small OPT base are the ones that the documentation names.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from nav_vlm_node.paths import embedded_model
from nav_vlm_node.score import MEASURES
from nav_vlm_node.vlm.card import read_adapter_card, read_model_card
from nav_vlm_training import cli
from nav_vlm_training.evaluation.report import TEXT_MEASURES

ROOT = Path(__file__).parents[2]
ANSWERS = (
    "Walk straight ahead; the gates are on your left.", "Turn left and walk to the doors.",
    "It’s on your right, past the plants.", "The exit is behind you.",
)  # fmt: skip
LINES = [f"hall/hall_{n:02d}.jpg;Q:How to reach the exit {n};A:{ANSWERS[n % 4]}" for n in range(12)]
LINES += [f"stairscase/9_stairs_20{n}__20.jpg;Q:Where is the lift;A:{ANSWERS[n % 3]}" for n in range(6)]
LINES[3:3] = ["", "hall/hall_03.jpg;Q: How to find the lounge ;A: Go straight, then turn right", "  "]
ODD = ["hall/hall_05.jpg;Q:no answer here", "hall/hall_01.jpg,Q:Where is the bar,A:Ahead."]


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Question files, the pictures that they name, and a small OPT base."""
    root = tmp_path_factory.mktemp("paper")
    (root / "qa").mkdir()
    (root / "qa" / "hall.txt").write_text("\n".join([*LINES, *ODD, LINES[0]]) + "\n", encoding="utf-8")
    words = ["--questions", str(root / "qa"), "--out", str(root / "mit"), "--noise"]
    assert tool("standin_mit67").main(words) == 0
    assert tool("make_small_bases").main(["--out", str(root)]) == 0
    return root


@pytest.fixture(scope="module")
def data(root: Path) -> Path:
    words = ["prepare", "--from", "paper", "--data", str(root / "qa"), "--pictures", str(root / "mit")]
    words += ["--out", str(root / "data"), "--splits", "train=0.6,val=0.2,test=0.2"]
    assert cli.main(words) == 0
    return root / "data"


def test_stand_ins_have_the_layout_and_the_faults_of_the_real_set(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = root / "mit" / "Images"
    assert len(list(images.rglob("*.jpg"))) == 18
    with Image.open(images / "hall" / "hall_01.jpg") as picture:
        assert picture.mode == "L"
    with Image.open(images / "hall" / "hall_02.jpg") as picture, pytest.raises(OSError, match="truncated"):
        picture.load()
    lists = {name: (root / "mit" / name).read_text().split() for name in ("TrainImages.txt", "TestImages.txt")}
    assert lists["TestImages.txt"] == ["hall/hall_04.jpg", "hall/hall_09.jpg", "stairscase/9_stairs_204__20.jpg"]
    assert len(lists["TrainImages.txt"]) == 15
    assert "Stand-ins" in (root / "mit" / "STAND_INS.txt").read_text()
    words = ["--questions", str(root / "qa"), "--out", str(root / "mit"), "--noise"]
    assert tool("standin_mit67").main(words) == 2
    assert capsys.readouterr().err == f"standin_mit67: error: {root / 'mit'} is not empty; give another --out\n"
    assert tool("standin_mit67").main(["--questions", str(images), "--out", str(root / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (root / "none").exists()


def test_every_line_is_a_question_or_a_remark(data: Path) -> None:
    card = json.loads((data / "card.json").read_text())
    remarks = [json.loads(line) for line in (data / "remarks.jsonl").read_text().splitlines()]
    left_out = {remark["where"]: remark["why"] for remark in remarks if remark["left_out"]}
    assert card["counts"]["questions"] == 18  # of 19, one is about the broken picture
    assert set(left_out) == {"hall.txt:3", "hall.txt:22", "hall.txt:23", "hall.txt:24", "hall/hall_02.jpg"}
    assert "no ';A:'" in left_out["hall.txt:22"]
    assert "the same as hall.txt:1" in left_out["hall.txt:24"]
    assert "is broken" in left_out["hall/hall_02.jpg"]
    assert {"where": "hall/hall_01.jpg", "why": "is not plain RGB (mode L); converted"}.items() <= remarks[-3].items()


@pytest.mark.parametrize("language", ["t5", "opt"])
def test_fit_evaluate_and_report(language: str, root: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = embedded_model() if language == "t5" else root / "opt"
    run, out = root / f"run-{language}", root / f"eval-{language}"
    given = ["--model", str(base), "--data", str(data), "--device", "cpu", "--max-new-tokens", "8"]
    learn = ["--epochs", "1", "--batch", "4", "--val-questions", "3", "--samples", "8", "--json"]
    assert cli.main(["fit", *given, *learn, "--run", str(run)]) == 0
    fitted = json.loads(capsys.readouterr().out)
    assert fitted["updates"] == 2
    assert fitted["loss"] > 0
    adapter = read_adapter_card(run / "adapter")
    assert adapter.base == read_model_card(base).name
    judge = ["--adapter", str(run / "adapter"), "--out", str(out), "--text", "--baselines", "base,constant", "--json"]
    assert cli.main(["evaluate", *given, *judge]) == 0
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    tested = [line for line in (data / "questions.jsonl").read_text().splitlines() if '"split": "test"' in line]
    assert figures["n"] == len(tested)
    assert set(MEASURES) | set(TEXT_MEASURES) <= set(figures)
    assert figures["direction_accuracy"]["n"] == len(tested)
    for name in ("report.json", "report.md", "report.html", "directions.png"):
        assert (out / name).stat().st_size > 0
    answers = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()[1:]]
    assert {answer["system"] for answer in answers} == {"model", "base"}
    assert (base / "config.json").is_file()
