"""The SDF library itself has nothing to say about what is exported."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from nav_vlm_sim.gazebo.export import RIG, WORLD, export
from nav_vlm_sim.gazebo.simulators import GZ, SIMULATORS, Simulator
from nav_vlm_sim.walks.procedural import plan_of

SOURCE = Path(__file__).with_name("sdf_check.cpp")
BUILT = Path(__file__).parents[3] / "build" / "sdf_check"
NEED = "install the Debian packages libsdformat-dev, pkg-config and g++"


def library() -> str:
    """pkg-config's name of the newest SDF library that is installed; "" for none."""
    if not shutil.which("pkg-config") or not shutil.which("g++"):
        return ""
    listed = subprocess.run(["pkg-config", "--list-package-names"], capture_output=True, text=True, check=False).stdout
    versions = [int(name[8:]) for name in listed.split() if name.startswith("sdformat") and name[8:].isdigit()]
    return f"sdformat{max(versions)}" if versions else ""


@pytest.fixture(scope="module")
def checker() -> Path:
    """The program made of sdf_check.cpp; made once for each library, which takes half a minute."""
    name = library()
    if not name:
        pytest.skip(f"gz: no SDF library; {NEED}")
    version = subprocess.run(["pkg-config", "--modversion", name], capture_output=True, text=True, check=True).stdout
    program = BUILT / hashlib.sha256(SOURCE.read_bytes() + version.encode()).hexdigest()[:16]
    if not program.exists():
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", name], capture_output=True, text=True, check=True)
        BUILT.mkdir(parents=True, exist_ok=True)
        draft = program.with_suffix(f".{os.getpid()}")
        subprocess.run(["g++", "-std=c++17", str(SOURCE), "-o", str(draft), *flags.stdout.split()], check=True)
        draft.replace(program)
    return program


def complaints(checker: Path, *files: Path) -> str:
    done = subprocess.run([str(checker), *map(str, files)], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (not done.stderr), done.stderr
    return done.stderr


@pytest.mark.parametrize("simulator", SIMULATORS.values(), ids=list(SIMULATORS))
def test_the_sdf_library_reads_it_without_a_warning(checker: Path, simulator: Simulator, tmp_path: Path) -> None:
    files = []
    for silhouettes in (False, True):
        out = tmp_path / str(silhouettes)
        export(plan_of(1), out, simulator, silhouettes=silhouettes)
        files += [out / WORLD, out / RIG]
    assert complaints(checker, *files) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<radius>", "<radiant>"),
        ('type="ode"', 'type="oden" kind="fast"'),
        ('<link name="base_link">', '<link name="base_link"/><link name="base_link">'),
    ],
    ids=["unknown element", "unknown attribute", "two of a name"],
)
def test_the_checker_sees_what_is_wrong(checker: Path, old: str, new: str, tmp_path: Path) -> None:
    export(plan_of(1), tmp_path / "w", GZ)
    world = tmp_path / "w" / WORLD
    text = world.read_text(encoding="utf-8")
    assert old in text
    text = text.replace("</radius>", "</radiant>") if old == "<radius>" else text
    world.write_text(text.replace(old, new), encoding="utf-8")
    assert complaints(checker, world)
