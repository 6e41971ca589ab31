"""An evaluation's folder is read again as it was asked, whatever else the data set holds."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

from nav_vlm_node.score_json import truth_to_json
from nav_vlm_node.view import Camera
from nav_vlm_training.data.answers import truth_of
from nav_vlm_training.data.samples import read_dataset, select
from nav_vlm_training.evaluation.kept import read_evaluation

QUESTION = "Where is the exit?"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two people's answers to one question about each of six pictures."""
    folder = tmp_path / "set"
    folder.mkdir()
    lines = []
    for number in range(6):
        Image.new("RGB", (32, 24), (number, 0, 0)).save(folder / f"{number}.png")
        for answer in ("Turn left.", "Turn right."):
            lines.append({
                "image": f"{number}.png", "split": "test", "question": QUESTION, "text": answer,
                **truth_to_json(truth_of(QUESTION, answer)[0]), "camera": asdict(Camera.from_fov(32, 24, 1.0)),
            })  # fmt: skip
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.parametrize("flag", ["--data {}", "--data={}"])
def test_a_drawn_question_that_two_people_answered(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    samples = select(read_dataset(data).samples, (), 5, 3)
    out = tmp_path / "out"
    out.mkdir()
    images = dict.fromkeys(sample.image for sample in samples)
    assert sum(sample.image in images for sample in read_dataset(data).samples) > 5
    told = {"system": "model", "question": QUESTION, "text": "Turn left.", "confidence": 0.9}
    book: list[dict[str, object]] = [{"identity": {}}, *({**told, "image": image} for image in images)]
    (out / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in book))
    monkeypatch.chdir(tmp_path)
    figures = {
        "n": 5, "baselines": {}, "directions": {}, "seeds": {"evaluate": 3},
        "data": {"sha256": read_dataset(data).sha256, "splits": ["test"], "limit": 5},
        "command": f"nav-vlm-train evaluate {flag.format('set')} --limit 5 --seed 3",
    }  # fmt: skip
    (out / "report.json").write_text(json.dumps(figures))
    found = read_evaluation(out)
    assert [one.sample.number for one in found.judged] == [sample.number for sample in samples]
