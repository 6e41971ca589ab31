#!/usr/bin/env python3
"""Build nav_vlm_msgs into the virtual environment of the Python that runs this.

    .venv/bin/python tools/build_interfaces.py

The ROS 2 it is built against is the sourced one, else the wheels in the environment. Afterwards
`import nav_vlm_msgs.msg` needs nothing but what ROS 2 itself needs. Takes 20 s to a minute, and no
time when neither the interfaces nor what they were built with has changed. `make setup` calls it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "ros2_ws" / "src" / "nav_vlm_msgs"

# The typesupport libraries are opened by name at run time, with the search path of ROS 2's own library: that
# does not reach into a virtual environment. A library that is loaded already is found by its name, from anywhere.
PRELOAD = '''"""Interfaces of nav_vlm: messages, services, the action."""

import ctypes
import pathlib

for _library in sorted(pathlib.Path("{lib}").glob("libnav_vlm_msgs__*_c.so")):
    ctypes.CDLL(str(_library))
'''


class BuildError(Exception):
    """The interfaces could not be built. The message says what failed and what to do."""


def ros_prefixes() -> list[Path]:
    """The ROS 2 to build against: what is sourced, else the environment with the wheels."""
    sourced = [Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    if any((prefix / "share" / "rclpy").is_dir() for prefix in sourced):
        return [prefix for prefix in sourced if prefix.is_dir()]
    return [Path(sys.prefix)]  # also where only a workspace is sourced, without the ROS 2 below it


def fingerprint(prefixes: list[Path]) -> str:
    """A digest of all that the result depends on: sources, this script, Python, ROS 2."""
    digest = hashlib.sha256()
    for path in [Path(__file__), *sorted(SOURCE.rglob("*"))]:
        if path.is_file():
            digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    wheels = sorted(
        f"{dist.name}={dist.version}"
        for dist in importlib.metadata.distributions()
        if (dist.name or "").startswith(("ros-", "numpy"))
    )
    digest.update(repr((sys.version, sys.prefix, list(map(str, prefixes)), wheels)).encode())
    return digest.hexdigest()


def relocate_wheels(prefix: Path) -> None:
    """Replace the include folders of the machine that built the wheels in their exported CMake files by ours."""
    import numpy

    python_include = sysconfig.get_paths()["include"]
    for path in prefix.glob("share/*/cmake/*.cmake"):
        text = path.read_text(encoding="utf-8")
        if "/opt/python/" not in text:
            continue
        text = re.sub(r"/opt/python/[^;\"]*/numpy/_?core/include", numpy.get_include(), text)
        text = re.sub(r"/opt/python/[^/;\"]*/include/python3\.\d+", python_include, text)
        path.write_text(text, encoding="utf-8")


def find_cmake() -> str:
    """The CMake to use: the environment's, else the system's."""
    beside = Path(sys.prefix) / "bin" / "cmake"
    cmake = str(beside) if beside.is_file() else shutil.which("cmake")
    if cmake is None:
        raise BuildError("cmake is missing; run: apt-get install -y cmake")
    return cmake


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run one build step; its output is shown only when it fails."""
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)}\n{done.stdout}\nthe interfaces could not be built; see above")


def build(prefixes: list[Path]) -> None:
    """Configure, build, install into the environment."""
    prefix = Path(sys.prefix)
    search = os.pathsep.join(map(str, prefixes))
    environment = {
        **os.environ,
        "AMENT_PREFIX_PATH": search,
        "CMAKE_PREFIX_PATH": search,
        "PATH": os.pathsep.join([str(prefix / "bin"), os.environ.get("PATH", "")]),
    }
    python_dir = Path(sysconfig.get_paths()["purelib"]).relative_to(prefix)
    with tempfile.TemporaryDirectory(prefix="nav_vlm_msgs_") as folder:
        configure = [
            *(find_cmake(), "-S", str(SOURCE), "-B", folder),
            f"-DCMAKE_INSTALL_PREFIX={prefix}",
            f"-DCMAKE_PREFIX_PATH={';'.join(map(str, prefixes))}",
            f"-DCMAKE_INSTALL_RPATH={prefix / 'lib'}",
            f"-DPYTHON_INSTALL_DIR={python_dir}",
            f"-DPython3_EXECUTABLE={sys.executable}",
            f"-DPYTHON_EXECUTABLE={sys.executable}",
            "-DCMAKE_BUILD_TYPE=Release",
            "-DBUILD_TESTING=OFF",
            "-Wno-dev",
        ]
        run(configure, environment)
        run([find_cmake(), "--build", folder, "--parallel", str(os.cpu_count() or 1)], environment)
        run([find_cmake(), "--install", folder], environment)
    package = prefix / python_dir / "nav_vlm_msgs" / "__init__.py"
    package.write_text(PRELOAD.format(lib=prefix / "lib"), encoding="utf-8")


def check() -> None:
    """Import the result in a fresh interpreter and let the type support load."""
    code = "from nav_vlm_msgs.msg import Instruction; Instruction.__class__.__import_type_support__()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode != 0:
        raise BuildError(f"{done.stderr}\nnav_vlm_msgs was built, but cannot be imported; see above")


def main() -> int:
    """Build when something changed. Returns the exit status."""
    if sys.prefix == sys.base_prefix:
        print("build_interfaces: error: run it with the Python of a virtual environment: make setup", file=sys.stderr)
        return 2
    prefixes = ros_prefixes()
    stamp = Path(sys.prefix) / "share" / "nav_vlm_msgs" / "built_from"
    wanted = fingerprint(prefixes)
    if stamp.is_file() and stamp.read_text() == wanted and importlib.util.find_spec("nav_vlm_msgs"):
        return 0
    print(f"nav_vlm_msgs: building against {prefixes[0]}", flush=True)
    try:
        relocate_wheels(Path(sys.prefix))
        build(prefixes)
        check()
    except BuildError as error:
        print(f"build_interfaces: error: {error}", file=sys.stderr)
        return 1
    stamp.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
