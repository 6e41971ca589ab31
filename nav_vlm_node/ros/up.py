"""Starts the nodes of a `bringup.Plan` in this process: what the launch tools do with a process each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

from nav_vlm_node.ros.bringup import NodePlan, Plan
from nav_vlm_node.ros.node import GuideNode
from nav_vlm_node.ros.republish_node import RepublishNode
from nav_vlm_node.ros.run import run_nodes

NODES: dict[str, Callable[..., Node]] = {"guide_node": GuideNode, "republish_node": RepublishNode}


def node_arguments(plan: NodePlan) -> dict[str, Any]:
    """The arguments of rclpy's Node that give it this plan's namespace, topics and parameters."""
    rules = [word for own, topic in plan.remappings for word in ("--remap", f"{own}:={topic}")]
    return {
        "namespace": plan.namespace,
        "cli_args": ["--ros-args", *rules] if rules else [],
        "parameter_overrides": [Parameter(name, value=value) for name, value in plan.parameters.items()],
    }


def start(plan: Plan) -> int:
    """Run the nodes until SIGINT or SIGTERM; returns the exit status. Raises UserError for bad parameters."""
    return run_nodes(
        lambda: [NODES[node.executable](**node_arguments(node)) for node in plan.nodes],
        ["--ros-args", "--log-level", plan.log_level],
    )
