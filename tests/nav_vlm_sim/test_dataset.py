"""Data sets: the same bytes from the same plan, whatever happened in between; lines that mean what they say."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.language import parse, quantise
from nav_vlm_node.score import Answer, Truth, judge
from nav_vlm_node.score_json import truth_from_json
from nav_vlm_node.view import Camera, Rectifier, Rig
from nav_vlm_sim import card, dataset, textures
from nav_vlm_sim.dataset import VIEW, make, read_lines
from nav_vlm_sim.plan import Plan
from nav_vlm_sim.records import take_frame
from nav_vlm_sim.scene import sample_scene
from nav_vlm_sim.world import SCENES_PER_WORLD, World
from tests.nav_vlm_sim.pictures import picture

SPLITS = (("train", 0.4), ("test", 0.3), ("heldout_texture", 0.15), ("heldout_room", 0.15))
PLAN = Plan(scenes=12, seed=3, views=2, questions=4, shares=SPLITS)
SMALL = Plan(scenes=3, seed=4, views=1, questions=2, shares=(("train", 1.0), ("val", 1.0), ("test", 1.0)))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "data"
    make(PLAN, out, workers=1, quiet=True)
    return out


@pytest.fixture(scope="module")
def lines(made: Path) -> list[dict[str, Any]]:
    return read_lines(made)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of SMALL, made in one go."""
    out = tmp_path_factory.mktemp("small") / "data"
    make(SMALL, out, workers=1, quiet=True)
    return tree(out)


# ---- what a line says --------------------------------------------------------------------------


def test_the_text_is_the_steps_in_canonical_english(lines: list[dict[str, Any]]) -> None:
    assert len(lines) > 100
    for line in lines:
        truth = truth_from_json(line)
        parsed = parse(line["text"])
        assert parsed.steps == quantise(truth.steps)
        assert not parsed.unparsed


def test_the_guides_answer_is_right_by_the_scorer(lines: list[dict[str, Any]]) -> None:
    measured: set[str] = set()
    for line in lines:
        truth = truth_from_json(line)
        hits = judge(Answer(parse(line["text"]).steps), truth).hits
        measured |= set(hits)
        for good in ("direction_accuracy", "coverage", "visibility_accuracy", "unknown_no_direction", "hazard_recall"):
            assert hits.get(good, True), (good, line["question"], line["text"])
        for bad in ("reversal_rate", "false_clear_rate", "false_alarm_rate"):
            assert not hits.get(bad, False), (bad, line["question"], line["text"])
        if truth.distance > 1.0:
            assert hits.get("distance_within_25", True)
    assert {"direction_accuracy", "reversal_rate", "hazard_recall", "unknown_no_direction"} <= measured


def test_the_truth_says_what_it_is_about(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        truth = truth_from_json(line)
        assert math.isfinite(truth.bearing) == math.isfinite(truth.distance) == truth.visible
        assert not truth.visible or truth.kind == "target"
        assert (line["phrasing"] == "heldout") <= (line["split"] == "test")
        assert (line["texture"] == "heldout") == (line["split"] == "heldout_texture")
        assert (line["room"] == "lounge") == (line["split"] == "heldout_room")
        if truth.kind == "hazard":
            assert ("Caution" in line["text"]) == bool(truth.hazards)


def test_held_out_words_ask_the_same_things(lines: list[dict[str, Any]]) -> None:
    asked: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
    for line in lines:
        if line["split"] == "test":
            what = (
                line["truth"]["kind"],
                line["truth"]["target"] if line["truth"]["kind"] == "target" else "",
                line["text"],
            )
            asked.setdefault(line["image"], {"train": [], "heldout": []})[line["phrasing"]].append(what)
    assert asked
    for image in asked.values():
        assert image["train"] == image["heldout"]
        assert len(set(image["train"])) == len(image["train"]), "no question twice"


def test_the_picture_is_the_cameras_and_comes_from_the_seed(made: Path, lines: list[dict[str, Any]]) -> None:
    for line in (lines[0], lines[-1]):
        raw = picture(made / line["image"])
        camera, rig = Camera(**line["camera"] | {"d": tuple(line["camera"]["d"])}), Rig(**line["rig"])
        assert raw.shape == (camera.height, camera.width, 3)
        room = "lounge" if line["split"] == "heldout_room" else None
        scene = sample_scene(line["scene"], room=room, family=line["texture"])
        with World(line["scene"] // SCENES_PER_WORLD, line["texture"]) as world:
            world.load(scene)
            frame = take_frame(world, scene, line["view"], VIEW)
        assert (raw == frame.raw).all()
        assert (Rectifier(camera, rig, VIEW)(raw) == frame.rgb).all()


# ---- the card ----------------------------------------------------------------------------------


def test_the_card_counts_what_is_there(made: Path, lines: list[dict[str, Any]]) -> None:
    found = json.loads((made / "card.json").read_text())
    assert found["counts"]["questions"] == len(lines)
    assert found["counts"]["images"] == len(list((made / "images").rglob("*.png"))) == 24
    assert found["counts"]["scenes"] == 12
    assert {name: part["scenes"] for name, part in found["counts"]["splits"].items()} == {
        "train": 5, "test": 3, "heldout_texture": 2, "heldout_room": 2,
    }  # fmt: skip
    visible = [line["truth"] for line in lines if line["truth"]["visible"]]
    assert found["counts"]["visible_targets"] == len(visible)
    off = [truth for truth in visible if abs(math.degrees(truth["bearing_rad"])) >= 15]
    assert found["counts"]["visible_off_centre"] == len(off)
    for name in ("kind", "status", "direction", "landmark", "phrasing", "room", "texture"):
        assert sum(found["shares"][name].values()) == pytest.approx(1.0, abs=0.01)
    left = [truth for truth in off if truth["bearing_rad"] > 0]
    said = sum(share for name, share in found["shares"]["direction"].items() if name.startswith("left"))
    assert said == pytest.approx(len(left) / len(visible), abs=0.01)
    assert found["seed"] == 3
    assert found["licence"]
    assert found["checks"] == {"scenes_in_two_splits": 0, "surface_patterns_in_two_splits": 0}


def test_the_hash_is_of_every_byte(made: Path, lines: list[dict[str, Any]], tmp_path: Path) -> None:
    found = json.loads((made / "card.json").read_text())["data_sha256"]
    assert card.digest(made, lines) == found
    for name, data in tree(made).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    changed = tmp_path / lines[-1]["image"]
    changed.write_bytes(changed.read_bytes()[:-1] + b"x")
    assert card.digest(tmp_path, lines) != found


def test_a_scene_in_two_splits_is_found(made: Path, lines: list[dict[str, Any]]) -> None:
    assert card.scenes_in_two_splits(lines) == []
    assert card.scenes_in_two_splits(lines, SCENES_PER_WORLD) == [], "and no two splits share surfaces"
    other = "test" if lines[0]["split"] != "test" else "train"
    smuggled = [*lines, {**lines[0], "split": other}]
    assert card.scenes_in_two_splits(smuggled) == [lines[0]["scene"]]
    with pytest.raises(AssertionError, match="two splits"):
        card.describe(made, smuggled, PLAN.to_json(), PLAN.command(), VIEW)


# ---- making it ---------------------------------------------------------------------------------


def test_any_number_of_processes_makes_the_same_bytes(small: dict[str, bytes], tmp_path: Path) -> None:
    make(SMALL, tmp_path / "data", workers=3, quiet=True)
    assert tree(tmp_path / "data") == small


def test_a_killed_run_goes_on_to_the_same_bytes(small: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "data"
    command = [sys.executable, "-c", "import sys; from nav_vlm_sim.cli import main; sys.exit(main())"]
    command += ["dataset", "--out", str(out), "--workers", "2", "--scenes", "3", "--seed", "4", "--views", "1"]
    command += ["--questions", "2", "--split-shares", "train=1,val=1,test=1"]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    end = time.monotonic() + 120
    while not list(out.glob(".parts/0*.jsonl")):
        assert run.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (out / "card.json").exists(), "it was killed before the end"
    with pytest.raises(UserError, match="seed 4 and not 5"):
        make(Plan(**{**SMALL.to_json(), "seed": 5, "shares": SMALL.shares}), out, workers=1, quiet=True)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert tree(out) == small


def test_workers_do_not_outlive_a_killed_run(tmp_path: Path) -> None:
    out = tmp_path / "data"
    code = (
        "from pathlib import Path\nfrom nav_vlm_sim.dataset import make\nfrom nav_vlm_sim.plan import Plan\n"
        f"if __name__ == '__main__': make(Plan(scenes=400, seed=1), Path({str(out)!r}), workers=2, quiet=True)"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    run = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while len(list(out.glob("images/.0*"))) < 2:  # both workers are drawing
        assert run.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    children = [int(pid) for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
    assert len(children) >= 2
    run.kill()
    run.wait()
    while any(Path(f"/proc/{pid}").exists() and " Z " not in _stat(pid) for pid in children):
        assert time.monotonic() < end
        time.sleep(0.01)


def _stat(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return " Z "


def test_a_finished_data_set_is_left_alone(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert make(PLAN, made, workers=1, quiet=True)["counts"]["scenes"] == 12
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before
    assert not list(made.glob(".*"))


def test_other_folders_are_not_touched(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"views 2 and not 1"):
        make(Plan(**{**PLAN.to_json(), "views": 1, "shares": PLAN.shares}), made, workers=1, quiet=True)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="not empty"):
        make(SMALL, tmp_path, workers=1, quiet=True)
    with pytest.raises(UserError, match="cannot write"):
        make(SMALL, tmp_path / "letter.txt", workers=1, quiet=True)
    with pytest.raises(UserError, match="cannot write"):
        make(SMALL, tmp_path / "letter.txt" / "data", workers=1, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "card.json").write_text("no JSON")
    with pytest.raises(UserError, match="is not JSON"):
        make(SMALL, foreign, workers=1, quiet=True)
    (foreign / "card.json").write_text("{}")
    with pytest.raises(UserError, match="did not make"):
        make(SMALL, foreign, workers=1, quiet=True)


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(
    small: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real, written = tmp_path / "data", textures.png, []

    def full(image: textures.Image) -> bytes:
        written.append(image)
        if len(written) == 2:  # one block is there
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(image)

    monkeypatch.setattr(textures, "png", full)
    with pytest.raises(UserError, match="No space left on device") as caught:
        make(SMALL, out, workers=1, quiet=True)
    assert "\n" not in str(caught.value)
    assert not [path for path in out.rglob("*") if path.name.startswith(".0") or "draft" in path.name]
    assert not (out / "card.json").exists()
    assert not (out / "questions.jsonl").exists()
    monkeypatch.setattr(textures, "png", real)
    make(SMALL, out, workers=1, quiet=True)
    assert tree(out) == small


def test_a_small_disk_is_told_before_anything_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(UserError, match=r"0 MB free"):
        make(SMALL, tmp_path / "data", workers=1, quiet=True)


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    (tmp_path / ".parts").mkdir()
    with (tmp_path / ".parts" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another run"):
            make(SMALL, tmp_path, workers=1, quiet=True)


def test_a_worker_that_dies_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_draw_block", _die)
    with pytest.raises(UserError, match="fewer --workers"):
        make(SMALL, tmp_path / "data", workers=2, quiet=True)


def _die(*_: object) -> None:
    os._exit(9)


@pytest.mark.parametrize("workers", [0, -3, 10_000])
def test_numbers_of_workers(workers: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--workers"):
        make(SMALL, tmp_path / "data", workers=workers, quiet=True)


def test_a_truth_of_nothing_has_no_direction() -> None:
    assert math.isnan(Truth("unknown").bearing)
