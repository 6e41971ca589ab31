"""Where the files that come with nav_vlm are: models, configuration, launch files.

The folder that holds `models/` and `config/` is, in this order: $NAV_VLM_SHARE; the source checkout that this module
lies in; `share/nav_vlm` of the prefix that this module is installed under; of a sourced ROS 2 workspace; of Python.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from nav_vlm_node.errors import UserError

ENVIRONMENT = "NAV_VLM_SHARE"


def _candidates() -> Iterator[Path]:
    module = Path(__file__).resolve()
    yield module.parents[1]
    for parent in module.parents:
        yield parent / "share" / "nav_vlm"
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if prefix:
            yield Path(prefix) / "share" / "nav_vlm"
    yield Path(sys.prefix) / "share" / "nav_vlm"


def share() -> Path:
    """The folder that holds `package.xml`, `models/`, `config/` and `launch/`.

    Raises UserError where there is none.
    """
    chosen = os.environ.get(ENVIRONMENT)
    if chosen:
        if not Path(chosen).is_dir():
            raise UserError(f"{ENVIRONMENT} names {chosen}, which is no folder; correct it or unset it")
        return Path(chosen)
    for folder in _candidates():
        if (folder / "package.xml").is_file():
            return folder
    raise UserError(f"the files of nav_vlm (config/, models/) were not found; install it again or set {ENVIRONMENT}")


def models() -> Path:
    """The folder of the models that come with nav_vlm."""
    return share() / "models"


def embedded_model() -> Path:
    """The model that is used when none is named."""
    return models() / "embedded"


def config() -> Path:
    """The folder of parameter files and rig profiles."""
    return share() / "config"
