"""A Ray that shares work with other machines: one of this machine's own, or one that runs already.

For the simulator's walks and the training package's sweeps; the node does not use it.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nav_vlm_node.errors import UserError


@contextmanager
def cluster(address: str, cpus: int, *, quiet: bool = False) -> Iterator[Any]:
    """The module `ray`, connected until the end.

    address: of a cluster ("auto" for the one that this machine is in), "" for one of `cpus` processors of this machine.
    Raises UserError where Ray is missing or not there.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError("Ray is missing, which --ray needs; run: pip install 'ray[tune]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    import ray

    _check(address)
    here: dict[str, Any] = {} if address else {"num_cpus": cpus, "include_dashboard": False}
    try:
        ray.init(
            address=address or "local", log_to_driver=False, logging_level=logging.ERROR, configure_logging=not quiet,
            **here,
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _nothing_there(address, (str(error).strip() or type(error).__name__).splitlines()[0]) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _check(address: str) -> None:
    """Ray itself would wait for minutes. Raises UserError where nothing listens at host:port."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except (OSError, OverflowError, ValueError) as error:  # ValueError: a name that no host can have
            raise _nothing_there(address, getattr(error, "strerror", None) or str(error)) from None


def _nothing_there(address: str, why: str) -> UserError:
    if not address:
        return UserError(f"--ray: no Ray could be started on this machine ({why}); leave --ray out")
    return UserError(f"--ray {address}: no Ray there ({why}); start one with: ray start --head")
