"""Installs the ROS 2 package `nav_vlm`; what is not computed here is in setup.cfg."""

from __future__ import annotations

import os
from glob import glob

from setuptools import setup

SHARED = ("launch", "config", "models")  # folders that are installed under share/nav_vlm as they are


def shared_files() -> list[tuple[str, list[str]]]:
    """The data files, grouped by the folder they go to; paths are relative to this folder, which may be a symlink."""
    groups = [
        ("share/ament_index/resource_index/packages", ["resource/nav_vlm"]),
        ("share/nav_vlm", ["package.xml"]),
    ]
    for top in SHARED:
        for folder, subfolders, names in os.walk(top):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__")))
            files = [os.path.join(folder, name) for name in sorted(names) if not name.startswith(".")]
            if files:
                groups.append((os.path.join("share", "nav_vlm", folder), files))
    return groups


if not glob("nav_vlm_node/*.py"):
    raise SystemExit("setup.py: error: run it in the folder that it is in")

# python_requires is here because colcon cannot read what setuptools makes of it in setup.cfg.
setup(data_files=shared_files(), python_requires=">=3.10")
