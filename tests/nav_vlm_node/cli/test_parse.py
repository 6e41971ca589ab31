"""`nav-vlm parse`, as it is called."""

import argparse
import io
import json

import pytest

from nav_vlm_node.cli import parse
from nav_vlm_node.errors import UserError


def call(*words: str) -> int:
    parser = argparse.ArgumentParser()
    parse.add_arguments(parser)
    return parse.run(parser.parse_args(words))


def test_the_steps_are_printed_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("Turn left 35 degrees, then move 4 metres to the door. Bananas sing.") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["TURN", "35", "degrees", "left"],
        ["MOVE", "ahead", "4", "m", "door"],
        ["not", "understood:", "Bananas", "sing"],
    ]


def test_json_is_one_object_with_si_units(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("make a left, then walk 10 steps. Do not run.", "--json", "--step-length", "0.5") == 0
    assert json.loads(capsys.readouterr().out) == {
        "steps": [
            {"action": "TURN", "bearing_rad": pytest.approx(1.5707963), "distance_m": None, "landmark": ""},
            {"action": "MOVE", "bearing_rad": 0.0, "distance_m": 5.0, "landmark": ""},
        ],
        "unparsed": ["Do not run"],
        "canonical": "Turn left 90 degrees, then move 5 metres.",
    }


def test_standard_input_may_hold_anything(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"Stop.\xff\xfe\x00 Turn around."))
    monkeypatch.setattr("sys.stdin", stdin)
    assert call("-", "--json") == 0
    assert [step["action"] for step in json.loads(capsys.readouterr().out)["steps"]] == ["STOP", "TURN"]


@pytest.mark.parametrize(
    "words", [("",), ("  \n",), ("Stop.", "--step-length", "0"), ("Stop.", "--step-length", "nan")]
)
def test_bad_input_is_one_line(words: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as error:
        call(*words)
    assert "\n" not in str(error.value)
