"""Lifecycle transitions off the executor: loading a model takes long, and everything else is answered meanwhile."""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from nav_vlm_node.ros.futures import awaitable
from nav_vlm_node.ros.worker import Worker


def run_transitions_on(worker: Worker, node: Node) -> None:
    """Let the lifecycle node's service `change_state` do its work on `worker`'s thread.

    It also answers "no" to a transition that is not allowed now, where rclpy 7.1 (Jazzy) raises: the caller would wait
    for ever and the executor end (`ros2 lifecycle set /nav_vlm configure` twice).
    """
    for service in node.services:
        if service.srv_name.endswith("/change_state"):
            service.callback = _on(worker, node, service.callback)
            # Not the node's default group: that is one at a time, and parameters are in it.
            service.callback_group = group = ReentrantCallbackGroup()
            group.add_entity(service)


def _on(worker: Worker, node: Node, callback: Any) -> Any:
    async def change_state(request: Any, response: Any) -> Any:
        done = await awaitable(node, worker.submit(lambda: callback(request, response)))
        if done.cancelled():
            why: object = "the node is shut down"
        elif done.exception() is None:
            return done.result()
        else:
            why = done.exception()
        node.get_logger().error(f"transition {request.transition.id} ({request.transition.label}): {why}")
        response.success = False
        return response

    return change_state
