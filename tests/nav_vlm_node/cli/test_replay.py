"""`nav-vlm replay` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_node.cli import main
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.bags import data_file, make_bag
from tests.nav_vlm_node.replay.conftest import by_picture
from tests.tiny_models import make_tiny_blip2


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    asked: list[tuple[Any, ...]] = []

    def load(*arguments: Any) -> ScriptedEngine:
        asked.append(arguments)
        return ScriptedEngine(by_picture)

    monkeypatch.setattr("nav_vlm_node.vlm.load.load_engine", load)
    return asked


def test_json(scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = make_bag(tmp_path / "bag")
    (bag / "metadata.yaml").unlink()
    assert main(["replay", str(bag), "--out", str(tmp_path / "out"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    found = json.loads(out)
    assert {"queries", "answered", "status", "image_age_s", "latency_s", "metrics", "command", "commit"} <= set(found)
    assert set(found["image_age_s"]) == {"p50", "p95", "max"}
    assert found["command"].startswith("nav-vlm replay bag --out out")
    assert "nav-vlm: bag bag has no metadata.yaml" in err
    assert "reading: 100%" in err
    assert "embedded, default: 100%" in err


def test_words(scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag, out = make_bag(tmp_path / "bag"), tmp_path / "out"
    words = ["--model", "m", "--adapter", "a", "--against-adapter", "", "--device", "cpu", "--dtype", "float32"]
    assert main(["replay", str(bag), "--out", str(out), *words]) == 0
    assert scripted == [("m", "a", "cpu", "float32"), ("m", "", "cpu", "float32")]
    said = capsys.readouterr().out
    assert said.startswith("2 questions, 2 answered (OK 2)\n")
    assert "2 of 2 equal steps" in said
    assert said.endswith(f"wrote {out}/report.html\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--against-adapter", "default"], "both sides are the same model and adapter"),
        (["--questions", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["--rig", "gopro"], "there is no rig 'gopro'"),
        (["--image-topic", "/front"], "no image topic /front"),
        (["--image-transport", "smoke"], "invalid choice"),
        (["--params-file", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_words(
    scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    bag = make_bag(tmp_path / "bag", count=2, questions=[(0.1, "Where?")])
    assert main(["replay", str(bag), "--out", str(tmp_path / "out"), *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    line = err.splitlines()[-1]
    assert line.startswith("nav-vlm: error: ")
    assert says in line
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = make_bag(tmp_path / "bag", count=2, questions=[(0.1, "Where?")])
    assert main(["replay", str(bag), "--out", str(tmp_path / "out"), "--model", "/nowhere/model"]) == 2
    assert "/nowhere/model" in capsys.readouterr().err.splitlines()[-1]


def test_real_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two real networks, tiny and random: an adapter and its base, on a file without its folder."""
    model = make_tiny_blip2(tmp_path / "tiny", with_adapter=True)
    file, out = data_file(make_bag(tmp_path / "bag", "sqlite3")), tmp_path / "out"
    words = ["replay", str(file), "--out", str(out), "--model", str(model), "--against-adapter", "", "--json"]
    assert main(words) == 0
    first = (out / "answers.jsonl").read_bytes()
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["against_model"]) == ("tiny-t5, guide", "tiny-t5, base")
    assert found["queries"] == found["against"]["queries"] == 2
    assert main(words) == 0
    assert (out / "answers.jsonl").read_bytes() == first
