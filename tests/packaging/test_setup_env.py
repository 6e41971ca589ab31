"""tools/setup_env.py: what it asks pip for, what it refuses with which words, and that it does nothing twice."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


setup_env = load("setup_env")
build_interfaces = load("build_interfaces")


@pytest.fixture
def ros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sourced ROS 2, as far as the environment shows it."""
    prefix = tmp_path / "opt" / "ros"
    (prefix / "share" / "rclpy").mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'overlay'}:{prefix}")
    return prefix


def test_a_sourced_ros_is_found(ros: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setup_env.sourced_ros(tmp_path / ".venv") == ros
    assert setup_env.sourced_ros(ros) is None, "the environment's own wheels are not a sourced ROS 2"
    monkeypatch.delenv("AMENT_PREFIX_PATH")
    assert setup_env.sourced_ros(tmp_path / ".venv") is None


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 14, 0)])
def test_an_unfit_python_is_refused(version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(setup_env.SetupError, match=r"Python 3\.\d+ is not supported.*make setup PYTHON="):
        setup_env.check_machine(None)


def test_another_machine_needs_ros(ros: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(setup_env.SetupError, match="install ROS 2 and source it"):
        setup_env.check_machine(None)
    setup_env.check_machine(ros)  # with one it is welcome


def test_missing_debian_packages_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(setup_env.ctypes.util, "find_library", lambda name: None)
    with pytest.raises(setup_env.SetupError) as raised:
        setup_env.check_machine(None)
    assert str(raised.value) == "missing Debian packages; run: apt-get install -y g++ make libegl1 libgl1"


def test_debian_packages_are_those_of_the_python_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make setup PYTHON=python3.12` where python3 is 3.10: libpython3-dev has no headers for it."""
    monkeypatch.setattr(sys, "version_info", (3, 12, 3))
    monkeypatch.setattr(setup_env.sysconfig, "get_paths", lambda: {"include": "/nowhere"})
    monkeypatch.setattr(setup_env.importlib.util, "find_spec", lambda name: None)
    assert {"python3.12-dev", "python3.12-venv"} <= set(setup_env.missing_debian_packages())


def test_requirements_without_ros_have_the_wheels() -> None:
    names = {setup_env.requirement_name(line) for line in setup_env.requirements(None)}
    assert {"ros-jazzy-rclpy", "torch", "transformers", "opencv-python-headless", "pytest", "mujoco", "tqdm"} <= names
    assert not names & {"nav-vlm", "nav-vlm-sim", "nav-vlm-training"}


def test_requirements_with_ros_leave_the_systems_builds_alone(ros: Path) -> None:
    names = {setup_env.requirement_name(line) for line in setup_env.requirements(ros)}
    assert not [name for name in names if name.startswith("ros-")]
    assert not names & {"torch", "numpy", "opencv-python-headless"}, "these are there, wherever they are from"
    assert {"transformers", "mujoco", "pytest"} <= names


def test_every_requirement_is_pinned() -> None:
    pinned = {setup_env.requirement_name(line) for line in setup_env.constraints(None) if "==" in line}
    assert {setup_env.requirement_name(line) for line in setup_env.requirements(None)} <= pinned
    assert set(setup_env.ALONE) <= pinned


def test_constraints_with_ros_keep_its_numpy(ros: Path) -> None:
    import numpy

    lines = setup_env.constraints(ros)
    assert [line for line in lines if line.startswith("numpy")] == [f"numpy=={numpy.__version__}"]
    assert not [line for line in lines if line.startswith("torch==")]


def test_a_step_is_done_once_per_key(tmp_path: Path) -> None:
    environment = setup_env.Environment(tmp_path)
    done: list[str] = []
    for key in ("a", "a", "b"):
        environment.step("dependencies", key, lambda key=key: done.append(key))
    assert done == ["a", "b"]


def test_a_failed_step_is_tried_again(tmp_path: Path) -> None:
    environment = setup_env.Environment(tmp_path)

    def fail() -> None:
        raise setup_env.SetupError("no network")

    with pytest.raises(setup_env.SetupError):
        environment.step("dependencies", "a", fail)
    done: list[str] = []
    environment.step("dependencies", "a", lambda: done.append("a"))
    assert done == ["a"]


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(setup_env.SetupError, match="no virtual environment"):
        setup_env.Environment(tmp_path).create(None)
    assert (tmp_path / "mine").read_text() == "precious"


def test_an_environment_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    with pytest.raises(setup_env.SetupError, match="did not make"):
        setup_env.Environment(tmp_path).create(None)
    assert (tmp_path / "pyvenv.cfg").is_file()


@pytest.mark.parametrize("stopped_at", [[], ["pyvenv.cfg"]])
def test_an_environment_of_its_own_is_replaced_also_one_that_was_stopped_halfway(
    stopped_at: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "venv"

    def stopped(command: list[str]) -> int:
        for name in stopped_at:
            (venv / name).write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr(setup_env.subprocess, "call", stopped)
    with pytest.raises(KeyboardInterrupt):
        setup_env.Environment(venv).create(None)
    made: list[list[str]] = []

    def done(command: list[str]) -> int:
        made.append(command)
        return 0

    monkeypatch.setattr(setup_env.subprocess, "call", done)
    setup_env.Environment(venv).create(None)
    assert made
    assert made[0][-1] == str(venv)


def test_an_environment_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, str(ROOT / "tools" / "setup_env.py"), "--venv", str(tmp_path / "file" / "venv")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("setup: error: ")
    assert done.stderr.count("\n") == 1, done.stderr


def test_an_error_is_one_line_and_status_2(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    command = [sys.executable, str(ROOT / "tools" / "setup_env.py"), "--venv", str(tmp_path / ".venv")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("setup: error: ")
    assert done.stderr.count("\n") == 1


def test_interfaces_are_built_again_only_when_something_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    prefixes = build_interfaces.ros_prefixes()
    before = build_interfaces.fingerprint(prefixes)
    assert build_interfaces.fingerprint(prefixes) == before
    copy = tmp_path / "nav_vlm_msgs"
    shutil.copytree(build_interfaces.SOURCE, copy)
    monkeypatch.setattr(build_interfaces, "SOURCE", copy)
    assert build_interfaces.fingerprint(prefixes) == before
    (copy / "msg" / "Query.msg").write_text("string text  # another\n")
    assert build_interfaces.fingerprint(prefixes) != before


def test_interfaces_are_built_against_the_ros_that_set_up_sees(
    ros: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workspace that is sourced without the ROS 2 below it is none: there are no messages in it to build against."""
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    assert build_interfaces.ros_prefixes() == [overlay, ros]
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(overlay))
    assert setup_env.sourced_ros(tmp_path / ".venv") is None
    assert build_interfaces.ros_prefixes() == [Path(sys.prefix)]


def test_include_folders_of_the_wheels_are_ours(tmp_path: Path) -> None:
    import numpy

    cmake = tmp_path / "share" / "std_msgs" / "cmake" / "export.cmake"
    cmake.parent.mkdir(parents=True)
    cmake.write_text(
        'INTERFACE_INCLUDE_DIRECTORIES "a;/opt/python/cp311-cp311/include/python3.11;'
        '/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include"'
    )
    build_interfaces.relocate_wheels(tmp_path)
    folders = cmake.read_text().split('"')[1].split(";")
    assert folders[0] == "a"
    assert (Path(folders[1]) / "Python.h").is_file()
    assert folders[2] == numpy.get_include()
