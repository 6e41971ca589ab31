"""The action `guide`: one question, its answer watched while it is written, and a cancel that stops the model."""

from __future__ import annotations

import uuid
from concurrent.futures import Future
from typing import Any

from rclpy.action.server import ActionServer, CancelResponse, GoalResponse, ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from nav_vlm_msgs.action import Guide
from nav_vlm_node.guide import Listener, refusal
from nav_vlm_node.instruction import Instruction, Status
from nav_vlm_node.ros.futures import OnceMore, awaitable, wake
from nav_vlm_node.ros.queries import Desk, Ticket

_STAGES = {
    "queued": Guide.Feedback.STAGE_QUEUED,
    "looking": Guide.Feedback.STAGE_LOOKING,
    "answering": Guide.Feedback.STAGE_ANSWERING,
    "checking": Guide.Feedback.STAGE_CHECKING,
}
_NOT_ANSWERED = frozenset(
    {Status.CANCELED, Status.BUSY, Status.NOT_READY, Status.DISABLED, Status.ERROR, Status.INVALID_QUERY}
)


class GuideAction:
    """Accepts every goal whose id is new. A goal ends SUCCEEDED with its Instruction whatever the status says of the
    picture, CANCELED when its client canceled it, ABORTED when it was refused or another question took its place.

    submit: how the node takes in a question: (query, id, priority, listener, also_tell) -> Ticket or None.
    to_message: Instruction to its message.
    """

    def __init__(self, node: Node, desk: Desk, submit: Any, to_message: Any) -> None:
        self._node = node
        self._desk = desk
        self._submit = submit
        self._to_message = to_message
        self._tickets: dict[bytes, Ticket] = {}
        self._canceled: set[bytes] = set()
        self.server = ActionServer(
            node,
            Guide,
            "guide",
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            callback_group=ReentrantCallbackGroup(),
            result_timeout=60,
        )

    @property
    def active(self) -> int:
        """Goals that have no result yet."""
        return len(self._tickets)

    def _on_goal(self, request: Guide.Goal) -> GoalResponse:
        if request.query.id and self._desk.seen(request.query.id):
            self._node.get_logger().warning(f"goal rejected: question {request.query.id!r} has been asked before")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        key = bytes(goal.goal_id.uuid)
        self._canceled.add(key)
        self._refuse_if_canceled(key)
        return CancelResponse.ACCEPT

    def _refuse_if_canceled(self, key: bytes) -> None:
        ticket = self._tickets.get(key)
        if ticket is not None and key in self._canceled:
            ticket.refuse(Status.CANCELED, "canceled by the client")

    async def _execute(self, goal: ServerGoalHandle) -> Guide.Result:
        key, query = bytes(goal.goal_id.uuid), goal.request.query
        answered: Future[Instruction] = Future()
        query_id = query.id or uuid.uuid4().hex
        feedback = Guide.Feedback(query_id=query_id, stage=_STAGES["queued"])

        def publish() -> None:
            if not answered.done() and goal.is_active:
                goal.publish_feedback(feedback)

        def on_stage(stage: str) -> None:
            feedback.stage = _STAGES[stage]
            publish()

        def on_text(text: str) -> None:
            feedback.text = text
            publish()

        def on_clause(clause: str) -> None:
            feedback.released = [*feedback.released, clause]
            publish()

        listener = Listener(on_stage=on_stage, on_text=on_text, on_clause=on_clause)
        publish()
        ticket = self._submit(query.text, query_id, query.priority, listener, [answered.set_result])
        if ticket is None:  # the same id came by topic since the goal was accepted
            goal.abort()
            why = f"question {query_id!r} has come before and is answered once"
            return Guide.Result(
                instruction=self._to_message(
                    refusal(Status.BUSY, query.text, query_id=query_id, priority=query.priority, message=why)
                )
            )
        self._tickets[key] = ticket
        self._refuse_if_canceled(key)
        instruction = (await awaitable(self._node, answered)).result()
        await self._end(goal, key, instruction)
        del self._tickets[key]
        return Guide.Result(instruction=self._to_message(instruction))

    async def _end(self, goal: ServerGoalHandle, key: bytes, instruction: Instruction) -> None:
        if key in self._canceled:
            # The cancel callback may still run on another thread; only after it does the goal count as canceling.
            while not goal.is_cancel_requested:
                wake(self._node)
                await OnceMore()
            self._canceled.discard(key)
            goal.canceled()
        elif instruction.status in _NOT_ANSWERED:
            goal.abort()
        else:
            goal.succeed()
