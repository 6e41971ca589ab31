"""A researcher's own JSON lines, with the mistakes that such files have, from the file to the data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nav_vlm_node.errors import UserError
from nav_vlm_training import cli
from nav_vlm_training.data.jsonl import read_jsonl
from nav_vlm_training.data.pictures import look
from nav_vlm_training.data.prepare import Prepared, PreparePlan, prepare
from nav_vlm_training.data.samples import read_dataset
from tests.nav_vlm_training.indoor67 import make_picture, pixels_of


def line(image: str, **more: Any) -> dict[str, Any]:
    return {"image": image, "question": "Where is the exit?", "answer": "Turn left.", **more}


def write(tmp_path: Path, lines: list[dict[str, Any]]) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "".join(json.dumps(one) + "\r\n" for one in lines).encode())
    return path


def made(tmp_path: Path, lines: list[dict[str, Any]], **changes: Any) -> Prepared:
    usual = {"source": "jsonl", "data": (write(tmp_path, lines),), "out": tmp_path / "out", "quiet": True}
    return prepare(PreparePlan(**{**usual, **changes}), "nav-vlm-train prepare")


NAMES = ("a.jpg", "images/a.jpg", "g.png", "g.png.png", "images/g.png.png", "b.jpg")


def test_pictures_whose_names_would_be_one_stay_apart(tmp_path: Path) -> None:
    """g.png is grey: it becomes g.png.png, which is there too."""
    for name in NAMES:
        make_picture(tmp_path / name, name)
    Image.fromarray(pixels_of("g.png")).convert("L").save(tmp_path / "g.png")
    made(tmp_path, [line(name) for name in NAMES])
    samples = read_dataset(tmp_path / "out").samples
    shown = [look(tmp_path / "out" / sample.image).pixels for sample in samples]
    assert shown == [look(tmp_path / name).pixels for name in NAMES]
    assert samples[0].image == "images/a.jpg"


def test_a_line_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    other = line("a.jpg", annotator="ann")
    reading = read_jsonl([write(tmp_path, [line("a.jpg"), line("b.jpg"), line("a.jpg", id=7), other])])
    assert [pair.where for pair in reading.pairs] == ["mine.jsonl:1", "mine.jsonl:2", "mine.jsonl:4"]
    assert [str(remark) for remark in reading.remarks] == ["mine.jsonl:3: the same as mine.jsonl:1; left out"]


def test_splits_by_the_names_that_others_give_them(tmp_path: Path) -> None:
    names = ["Train", "validation", "test", "valid", "validation", "heldout_room"]
    reading = read_jsonl([write(tmp_path, [line(f"{i}.jpg", split=name) for i, name in enumerate(names)])])
    assert [pair.split for pair in reading.pairs] == ["train", "val", "test", "val", "val", "heldout_room"]
    assert [(remark.where, remark.left_out) for remark in reading.remarks] == [
        ("mine.jsonl:1", False), ("mine.jsonl:2", False), ("mine.jsonl:4", False),
    ]  # fmt: skip
    assert "'validation' is called 'val' here" in reading.remarks[1].why


def test_a_split_that_leaks_names_the_lines(tmp_path: Path) -> None:
    make_picture(tmp_path / "a.jpg", "x")
    make_picture(tmp_path / "b.jpg", "x")
    with pytest.raises(UserError, match=r"train and test \(mine.jsonl:1 a.jpg, mine.jsonl:2 b.jpg\); divide anew"):
        made(tmp_path, [line("a.jpg", split="train"), line("b.jpg", split="test")])


def test_lines_that_somebody_changed_are_another_data_set(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        make_picture(tmp_path / name)
    card = made(tmp_path, [line("a.jpg"), line("b.jpg"), line("c.jpg")]).card
    assert read_dataset(tmp_path / "out").sha256 == card["data_sha256"]
    lines = tmp_path / "out" / "questions.jsonl"
    lines.write_text(lines.read_text().replace("Turn left.", "Turn right."))
    assert read_dataset(tmp_path / "out").sha256 != card["data_sha256"]


def test_a_set_that_is_there_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        make_picture(tmp_path / name)
    source = str(write(tmp_path, [line("a.jpg"), line("b.jpg"), line("c.jpg")]))
    words = ["prepare", "--from", "jsonl", "--data", source, "--out", str(tmp_path / "out")]
    assert cli.main(words) == 0
    assert "is there already" not in capsys.readouterr().err
    make_picture(tmp_path / "a.jpg", "another")
    assert cli.main(words) == 0
    assert f"{tmp_path / 'out'} is there already and stays as it was made" in capsys.readouterr().err
