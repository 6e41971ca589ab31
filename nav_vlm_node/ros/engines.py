"""The engine that the parameters ask for."""

from __future__ import annotations

from collections.abc import Mapping

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

        return SupervisedEngine(*arguments)
    from nav_vlm_node.vlm.load import load_engine

    return load_engine(*arguments)
