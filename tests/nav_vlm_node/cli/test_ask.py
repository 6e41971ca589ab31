from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from nav_vlm_node.cli import main
from nav_vlm_node.cli.ask import to_json
from nav_vlm_node.instruction import Action, Instruction, Status, Step
from nav_vlm_node.view import View
from nav_vlm_node.vlm.protocol import EngineCrashed
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.pictures import room
from tests.tiny_models import make_tiny_blip2

GOOD = "Caution, chair ahead at 1 metre. Turn left 35 degrees, then move 4 metres to the door."
KEYS = {"status", "text", "steps", "confidence", "latency_s", "first_token_s", "model", "adapter"}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "room.png"
    cv2.imwrite(str(path), room()[..., ::-1])
    return path


class Loader:
    """Stands in for load_engine; keeps what it was asked for."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self.engine = engine
        self.arguments: tuple[Any, ...] = ()

    def __call__(self, *arguments: Any) -> ScriptedEngine:
        self.arguments = arguments
        return self.engine


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loader]:
    loader = Loader(ScriptedEngine(GOOD))
    monkeypatch.setattr("nav_vlm_node.vlm.load.load_engine", loader)
    yield loader
    assert loader.engine._closed or not loader.arguments  # whatever happened, the model is freed


def run(*arguments: object) -> int:
    return main(["ask", *map(str, arguments)])


def test_json(image: Path, loader: Loader, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--image", image, "--query", "Where is the door?", "--json") == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out)
    assert set(found) >= KEYS
    assert found["status"] == "OK"
    assert found["model"] == "scripted"
    assert found["steps"][1] == {
        "action": "TURN",
        "bearing_rad": pytest.approx(math.radians(35)),
        "distance_m": None,
        "landmark": "",
    }
    assert 0 < found["first_token_s"] <= found["latency_s"]


def test_text(image: Path, loader: Loader, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--image", image, "--query", "Where is the door?", "--bearings", "clock") == 0
    out = capsys.readouterr().out
    assert out.startswith("Caution, chair ahead, 1 metre. Turn to 11 o'clock")
    assert out.count("\n") == 1


def test_the_rig_and_the_words_are_passed_on(
    tmp_path: Path, loader: Loader, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = room(480, 640)
    picture[:, 312:328] = (255, 0, 0)
    path = tmp_path / "post.png"
    cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1]))
    view = View(width=180, height=90, hfov=math.radians(120), vfov=math.radians(60), elevation=0.0)
    found: list[float] = []

    def answer(image: Any, query: str) -> str:
        reds = np.flatnonzero((image[45].astype(int) @ [1, -1, -1]) > 100)
        found.append(math.degrees(view.bearings()[reds].mean()))
        return GOOD

    loader.engine = ScriptedEngine(answer, view=view)
    assert (
        run("--image", path, "--query", "Where?", "--yaw", "25", "--hfov", "80", "--model", "/m", "--adapter", "") == 0
    )
    assert found[0] == pytest.approx(25, abs=1)
    assert loader.arguments == ("/m", "", "auto", "auto")
    assert "35 degrees" in capsys.readouterr().out


def test_a_withheld_answer_says_why_on_the_side(
    image: Path, loader: Loader, capsys: pytest.CaptureFixture[str]
) -> None:
    loader.engine = ScriptedEngine("a lovely room")
    assert run("--image", image, "--query", "Where?") == 0
    out, err = capsys.readouterr()
    assert out.startswith("I am not sure.")
    assert err.startswith("UNSURE: ")


def test_a_failing_engine(image: Path, loader: Loader, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(index: int) -> None:
        raise EngineCrashed("gone")

    loader.engine = ScriptedEngine(GOOD, on_token=fail)
    assert run("--image", image, "--query", "Where?", "--json") == 1
    assert json.loads(capsys.readouterr().out)["status"] == "ERROR"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--image", "nowhere.png"], "nowhere.png: No such file"),
        (["--image", "."], "Is a directory"),
        (["--image", __file__], "neither jpeg nor png"),
        (["--query", ""], "no words"),
        (["--query", "x" * 501], "at most 500"),
        (["--query", "a\x07b"], "control character"),
        (["--hfov", "400"], "--hfov is 400 degrees: use 6 to 177"),
        (["--hfov", "nan"], "--hfov is nan degrees"),
        (["--pitch", "100"], "--pitch is 100 degrees: use -79 to 79"),
        (["--yaw", "-200"], "--yaw is -200 degrees: use -180 to 180"),
        (["--hfov", "wide"], "hfov"),
        (["--bearings", "compass"], "bearings"),
        (["--min-confidence", "nan"], "min_confidence"),
        (["--rotation", "45"], "rotation"),
    ],
)
def test_bad_input_is_one_line(
    image: Path, loader: Loader, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert run("--image", image, "--query", "Where?", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nav-vlm: error: ")
    assert err.count("\n") == 1
    assert says in err


def test_a_model_that_is_not_there(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--image", image, "--query", "Where?", "--model", "/nowhere/model") == 2
    assert "/nowhere/model" in capsys.readouterr().err


def test_a_real_model(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make_tiny_blip2(tmp_path / "tiny", with_adapter=True)
    assert run("--image", image, "--query", "Where is the door?", "--model", model, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["adapter"]) == ("tiny-t5", "guide")
    assert found["status"] in {status.name for status in Status}


def test_numbers_that_are_not_stated_are_null() -> None:
    instruction = Instruction(
        query_id="", query="", status=Status.OK, text="Stop.", steps=(Step(Action.STOP),), confidence=math.nan
    )
    found = to_json(instruction)
    assert found["steps"] == [{"action": "STOP", "bearing_rad": None, "distance_m": None, "landmark": ""}]
    assert found["confidence"] is None
    assert found["latency_s"] is None
    json.dumps(found, allow_nan=False)
