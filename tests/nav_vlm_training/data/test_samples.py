from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import Rectifier
from nav_vlm_training.data.samples import Pictures, read_dataset, read_picture, select
from tests.nav_vlm_training.datasets import VIEW, make_dataset


def change_line(path: Path, number: int, **changes: object) -> None:
    lines = (path / "questions.jsonl").read_text().splitlines()
    lines[number] = json.dumps({**json.loads(lines[number]), **changes})
    (path / "questions.jsonl").write_text("\n".join(lines) + "\n")


def test_everything_of_a_line_is_read(tmp_path: Path) -> None:
    data = read_dataset(make_dataset(tmp_path / "set", splits=("train", "test"), seed=3))
    first = data.samples[0]
    line = json.loads((tmp_path / "set" / "questions.jsonl").read_text().splitlines()[0])
    assert (data.name, data.seed, data.sha256) == ("set", 3, f"{3:064d}")
    assert (first.image, first.scene, first.split, first.question) == ("images/0-0.png", "0", "train", line["question"])
    assert first.truth.bearing == line["truth"]["bearing_rad"]
    assert (first.camera.fx, first.rig.camera_pitch) == (line["camera"]["fx"], 0.1)
    assert data.splits == ("train", "test")


def test_null_is_nan_and_a_file_of_its_own_name_will_do(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "set", card=False)
    (folder / "questions.jsonl").rename(folder / "other.jsonl")
    data = read_dataset(folder / "other.jsonl")
    unseen = [sample for sample in data.samples if sample.truth.kind == "unknown"]
    assert all(math.isnan(sample.truth.bearing) for sample in unseen)
    assert len(data.sha256) == 64
    assert data.seed is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"truth": None}, 'must have an object "truth"'),
        ({"question": ""}, "no 'question'"),
        ({"camera": {"width": 4}}, "not a data-set line"),
        ({"image": "../else.png"}, "outside the data set"),
        ({"image": "images/none.png"}, "1 pictures of .* are missing, the first is images/none.png"),
        ({"steps": [{"action": "FLY"}]}, "action must be one of"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    folder = make_dataset(tmp_path / "set")
    change_line(folder, 3, **changes)
    with pytest.raises(UserError, match=said) as raised:
        read_dataset(folder)
    assert "line 4" in str(raised.value) or "missing" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data set"):
        read_dataset(tmp_path)
    (tmp_path / "questions.jsonl").write_text("\n")
    with pytest.raises(UserError, match="holds no questions"):
        read_dataset(tmp_path)
    (tmp_path / "questions.jsonl").write_bytes(b"\xff{\n")
    with pytest.raises(UserError, match="line 1 is not a data-set line"):
        read_dataset(tmp_path)


def test_train_and_val_are_left_out_unless_named(tmp_path: Path) -> None:
    samples = read_dataset(make_dataset(tmp_path / "set", splits=("train", "val", "test", "heldout_room"))).samples
    assert {s.split for s in select(samples)} == {"test", "heldout_room"}
    assert {s.split for s in select(samples, ["val"])} == {"val"}
    assert select(samples, ["all"]) == list(samples)
    with pytest.raises(UserError, match=r"no split 'tset'.*train, val, test, heldout_room"):
        select(samples, ["tset"])
    only = [s for s in samples if s.split == "train"]
    assert select(only) == only


def test_limit_draws_by_seed_and_keeps_the_order(tmp_path: Path) -> None:
    samples = read_dataset(make_dataset(tmp_path / "set")).samples
    some = select(samples, limit=10, seed=1)
    assert len(some) == 10
    assert [s.number for s in some] == sorted(s.number for s in some)
    assert some == select(samples, limit=10, seed=1) != select(samples, limit=10, seed=2)
    assert select(samples, limit=10_000) == list(samples)


def test_pictures_are_rectified_like_the_nodes(tmp_path: Path) -> None:
    data = read_dataset(make_dataset(tmp_path / "set"))
    pictures = Pictures(data.folder, VIEW)
    for sample in data.samples[::5]:
        expected = Rectifier(sample.camera, sample.rig, VIEW)(read_picture(data.folder / sample.image))
        assert np.array_equal(pictures(sample), expected)


def test_a_damaged_or_other_picture_is_named(tmp_path: Path) -> None:
    data = read_dataset(make_dataset(tmp_path / "set"))
    pictures = Pictures(data.folder, VIEW)
    (data.folder / data.samples[0].image).write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"0-0\.png.* no picture that can be read"):
        pictures(data.samples[0])
    from PIL import Image

    Image.new("L", (30, 36)).save(data.folder / data.samples[0].image)
    with pytest.raises(UserError, match=r"0-0\.png: picture of 30x36 from a camera of 48x36"):
        pictures(data.samples[0])
