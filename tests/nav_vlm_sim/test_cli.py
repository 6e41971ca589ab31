"""The command line: pictures, truth, and one line for what is wrong."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nav_vlm_node.errors import UserError
from nav_vlm_node.language import parse
from nav_vlm_sim import cli
from nav_vlm_sim.annotate import annotate, to_pixel
from nav_vlm_sim.records import Frame, observation_from_json, take_frame
from nav_vlm_sim.scene import sample_scene
from nav_vlm_sim.world import MAX_SIDE, World
from tests.nav_vlm_sim.hand_built import VIEW
from tests.nav_vlm_sim.pictures import picture

SEED = 513600000


@pytest.fixture(scope="module")
def frame() -> Frame:
    with World(SEED // 48) as world:
        scene = sample_scene(SEED)
        world.load(scene)
        return take_frame(world, scene, 0, VIEW)


def test_render_gives_picture_and_truth(frame: Frame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "f.png"
    assert cli.main(["render", "--seed", str(SEED), "--out", str(out), "--json"]) == 0
    assert (picture(out) == frame.raw).all()
    printed = json.loads(capsys.readouterr().out)
    assert printed["scene"] == SEED
    told = observation_from_json(printed)
    assert told.targets.keys() == frame.observation.targets.keys()
    assert set(printed["answers"]) == {name for name, target in told.targets.items() if target.visible}
    for text in printed["answers"].values():
        assert not parse(text).unparsed


def test_render_with_another_camera(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "f.png"
    assert cli.main(["render", "--seed", str(SEED), "--out", str(out), "--width", "320", "--hfov", "75"]) == 0
    assert picture(out).shape == (240, 320, 3)
    assert capsys.readouterr().out == ""


def test_the_annotated_picture_is_the_picture_with_marks_where_things_are(frame: Frame, tmp_path: Path) -> None:
    out = tmp_path / "f.png"
    assert cli.main(["render", "--seed", str(SEED), "--out", str(out), "--annotate"]) == 0
    marked = picture(out)
    height = frame.raw.shape[0]
    assert marked.shape[0] > height + 15, "with a caption"
    same = (marked[:height] == frame.raw).all(-1).mean()
    assert 0.5 < same < 0.999
    longer = annotate(frame, ("word " * 200,))
    assert longer.shape[0] > marked.shape[0]


def test_marks_stand_on_their_things(frame: Frame) -> None:
    """Projecting the truth into the picture meets the pixels of the thing that it is about."""
    with World(SEED // 48) as world:
        world.load(frame.scene)
        render = world.render(frame.pose, frame.camera)
    checked = 0
    for seen in frame.observation.seen:
        item = frame.scene.items[seen.item]
        if not seen.visible or item.kind == "open door":
            continue
        rows, columns = np.nonzero(render.item == seen.item)
        point = to_pixel(frame, seen.bearing, seen.distance, item.height / 2)
        assert point is not None
        assert columns.min() - 4 <= point[0] <= columns.max() + 4
        if rows.max() < frame.raw.shape[0] - 1:  # its foot is in the picture
            assert rows.min() - 4 <= point[1] <= rows.max() + 4
        checked += 1
    assert checked >= 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "COMMAND"),
        (["paint"], "paint"),
        (["render"], "--seed"),
        (["render", "--seed", "1"], "--out"),
        (["render", "--seed", "x"], "invalid int"),
        (["render", "--seed", "-1", "--json"], "--seed"),
        (["render", "--seed", "1", "--out", "f.jpg"], ".png"),
        (["render", "--seed", "1", "--json", "--width", "9999"], str(MAX_SIDE)),
        (["render", "--seed", "1", "--json", "--width", "0"], "picture of 0x0"),
        (["render", "--seed", "1", "--json", "--hfov", "200"], "field of view"),
        (["render", "--seed", "1", "--json", "--room", "cellar"], "cellar"),
        (["render", "--seed", "1", "--json", "--what"], "--what"),
        (["camera", "--seed", "3"], "unrecognized arguments: --seed 3"),
        (["camera", "seed:=3", "--ros-args", "-p", "rate:=5.0"], "unrecognized arguments: seed:=3;"),
        (["dataset", "--seed", "1", "--scenes", "1"], "--out"),
        (["dataset", "--seed", "1", "--scenes", "0", "--out", "nowhere"], "--scenes"),
        (["dataset", "--seed", "1", "--scenes", "1", "--out", "nowhere", "--split-shares", "train"], "train=0.8"),
        (["dataset", "--seed", "1", "--scenes", "1", "--out", "nowhere", "--split-shares", "all=1"], "all"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("nav-vlm-sim: error: ")
    assert error.count("\n") == 1
    assert says in error
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["render", "--seed", "1", "--out", str(tmp_path / "no" / "f.png")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_picture_that_was_there_stays_until_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "f.png"
    out.write_bytes(b"before")

    def half(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(UserError, match="No space left on device; give another --out"):
        cli._write_whole(out, b"a whole picture")
    assert out.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["f.png"]


def test_ctrl_c_has_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nav_vlm_sim.dataset.make", interrupted)
    assert cli.main(["dataset", "--seed", "1", "--scenes", "1", "--out", "nowhere"]) == 130
    assert capsys.readouterr().err == ""


WITHOUT_LIBRARY = """
import ctypes
real = ctypes.CDLL.__init__
def no_egl(self, name=None, *rest, **named):
    if name and "EGL" in str(name):
        raise OSError(f"{name}: cannot open shared object file")
    real(self, name, *rest, **named)
ctypes.CDLL.__init__ = no_egl
"""


@pytest.mark.parametrize(
    ("before", "environment"),
    [(WITHOUT_LIBRARY, {}), ("", {"__EGL_VENDOR_LIBRARY_DIRS": "/nonexistent"})],
    ids=["no libegl1", "no libegl-mesa0"],
)
def test_without_graphics_the_debian_packages_are_named(before: str, environment: dict[str, str]) -> None:
    code = f"{before}\nfrom nav_vlm_sim.cli import main\nraise SystemExit(main(['render', '--seed', '1', '--json']))"
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "MUJOCO_GL": "egl", **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 2, run.stderr
    lines = [line for line in run.stderr.splitlines() if not line.startswith("libEGL warning")]
    assert len(lines) == 1, run.stderr
    assert "libegl1 libgl1 libegl-mesa0" in lines[0]


def test_help_needs_no_graphics() -> None:
    code = f"{WITHOUT_LIBRARY}\nfrom nav_vlm_sim.cli import main\nmain(['dataset', '--help'])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "--split-shares" in run.stdout
