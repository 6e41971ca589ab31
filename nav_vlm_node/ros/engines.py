"""The engine that the parameters ask for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nav_vlm_node.paths import embedded_model
from nav_vlm_node.ros.parameter_table import Value
from nav_vlm_node.vlm.protocol import Engine

WARM_UP_QUESTION = "Where is the door?"


def load_configured_engine(values: Mapping[str, Value]) -> Engine:
    """Load the model, in a process of its own unless `engine_process` is false. Raises UserError, EngineError.

    Takes as long as loading takes. torch is imported by whichever process the model runs in.
    """
    model = str(values["model"]) or str(embedded_model())
    arguments = (model, str(values["adapter"]), str(values["device"]), str(values["dtype"]))
    if values["engine_process"]:
        from nav_vlm_node.vlm.supervised import SupervisedEngine

        return SupervisedEngine(*arguments)
    from nav_vlm_node.vlm.load import load_engine

    return load_engine(*arguments)


def warm_up(engine: Engine) -> None:
    """One short answer about nothing, so that the wearer's first question does not pay for lazy initialisation."""
    view = engine.info.view
    blank = np.full((view.height, view.width, 3), view.fill, np.uint8)
    for _ in engine.stream(engine.encode(blank), WARM_UP_QUESTION, max_new_tokens=2):
        pass
