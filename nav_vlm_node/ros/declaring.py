"""Declares a table of parameters on a node, checked at start and at every later change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from nav_vlm_node.ros.parameter_table import Spec


def declare_table(node: Node, table: Iterable[Spec]) -> dict[str, Any]:
    """Declare every parameter of `table`; returns the values at start.

    Raises rclpy's InvalidParameterValueException or InvalidParameterTypeException for a bad value given at start.
    """
    by_name = {spec.name: spec for spec in table}

    def check(changed: list[Parameter]) -> SetParametersResult:
        for parameter in changed:
            why = by_name[parameter.name].objection(parameter.value) if parameter.name in by_name else None
            if why is not None:
                return SetParametersResult(successful=False, reason=why)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check)
    for spec in by_name.values():
        descriptor = ParameterDescriptor(
            description=spec.description + (f" [{spec.unit}]" if spec.unit else ""),
            additional_constraints=f"one of: {spec.allowed}" if spec.choices else "",
            read_only=spec.read_only,
        )
        if spec.low is not None and spec.high is not None:
            if isinstance(spec.default, float):
                descriptor.floating_point_range = [FloatingPointRange(from_value=spec.low, to_value=spec.high)]
            else:
                descriptor.integer_range = [IntegerRange(from_value=int(spec.low), to_value=int(spec.high), step=1)]
        node.declare_parameter(spec.name, spec.default, descriptor)
    return {name: node.get_parameter(name).value for name in by_name}
