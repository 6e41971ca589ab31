"""A lifecycle node that outlives a transition that is not allowed in its state."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node


def answer_impossible_transitions(node: Node) -> None:
    """Let the service `change_state` answer "no" where rclpy raises: the caller waits for ever and the executor ends.

    Seen in rclpy 7.1 (Jazzy): `ros2 lifecycle set /nav_vlm configure` twice.
    """
    for service in node.services:
        if service.srv_name.endswith("/change_state"):
            service.callback = _guarded(node, service.callback)


def _guarded(node: Node, callback: Any) -> Any:
    def change_state(request: Any, response: Any) -> Any:
        try:
            return callback(request, response)
        except Exception as error:  # what rclpy raises here has no public name
            node.get_logger().error(f"transition {request.transition.id} ({request.transition.label}): {error}")
            response.success = False
            return response

    return change_state
