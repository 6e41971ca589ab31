"""Settings of the middleware: what a camera needs, for the processes that this package starts, and what cannot be."""

from __future__ import annotations

import os

from nav_vlm_node.errors import UserError
from nav_vlm_node.paths import config

_PROFILES = "FASTRTPS_DEFAULT_PROFILES_FILE"  # the name that Fast DDS of Humble and of Jazzy reads


_LAST_DOMAIN = 232  # RTPS 2.2, 9.6.1.1: the ports of those above lie beyond 65535


def check_domain() -> None:
    """Raises UserError for a ROS_DOMAIN_ID that cannot be: Fast DDS ends the process for it, with words of its own."""
    given = os.environ.get("ROS_DOMAIN_ID", "")
    if given and not (given.isascii() and given.isdecimal() and int(given) <= _LAST_DOMAIN):
        raise UserError(f"ROS_DOMAIN_ID is {given!r}: give 0 to {_LAST_DOMAIN}, or unset it")


def allow_large_images() -> None:
    """Let Fast DDS carry a whole picture between processes; to be called before rclpy.init.

    Its default shared-memory segment of 512 kB loses most pictures of 640x480 and more (measured: 1 to 4 of 30 a second
    arrive, best effort). What the user has set is left alone; other middlewares do not read it.
    """
    if any(name in os.environ for name in (_PROFILES, "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")):
        return
    try:
        profiles = config() / "fastdds.xml"
    except UserError:  # installed without its files: pictures may be lost, nothing else is
        return
    if profiles.is_file():
        os.environ[_PROFILES] = str(profiles)
