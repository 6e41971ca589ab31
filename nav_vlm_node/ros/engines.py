"""The engine that the parameters ask for."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping

from nav_vlm_node.errors import UserError
from nav_vlm_node.paths import embedded_model
from nav_vlm_node.ros.parameter_table import Value
from nav_vlm_node.vlm.protocol import Engine


def load_configured_engine(values: Mapping[str, Value]) -> Engine:
    """Load the model, in a process of its own unless `engine_process` is false. Raises UserError, EngineError.

    Takes as long as loading takes. torch is imported by whichever process the model runs in.
    """
    model = str(values["model"]) or str(embedded_model())
    arguments = (model, str(values["adapter"]), str(values["device"]), str(values["dtype"]))
    if values["engine_process"]:
        from nav_vlm_node.vlm.supervised import SupervisedEngine

        return SupervisedEngine(*arguments, python=_python(str(values["engine_python"])))
    from nav_vlm_node.vlm.load import load_engine

    return load_engine(*arguments)


def _python(name: str) -> str | None:
    """The program that a name or a path means; None for the node's own Python."""
    if not name:
        return None
    found = shutil.which(os.path.expanduser(name))
    if found is None:
        raise UserError(f"engine_python {name!r} is no program; give a Python's path, or leave it empty")
    return found


def wait_until_ready(engine: Engine, end: float, cancel: threading.Event) -> bool:
    """Wait for an engine process that is being started again, until `end` (time.monotonic()) or `cancel`.

    A question that comes while the process is down is answered when it is back, if that is before its deadline.
    """
    wait_ready = getattr(engine, "wait_ready", None)
    while wait_ready is not None and not wait_ready(0.1):
        if cancel.is_set() or time.monotonic() >= end:
            return False
    return True
