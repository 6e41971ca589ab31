"""What the model, the newest picture and the memory of the way make of a question. On the worker thread."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from nav_vlm_node.frames import Frame
from nav_vlm_node.guide import Guide
from nav_vlm_node.instruction import Status
from nav_vlm_node.language import landmark_of
from nav_vlm_node.ros import parameters
from nav_vlm_node.ros.camera_feed import CameraFeed, Missing
from nav_vlm_node.ros.engines import wait_until_ready
from nav_vlm_node.ros.odometry import Known, OdometryFeed
from nav_vlm_node.ros.queries import Ticket
from nav_vlm_node.wayfinder import Wayfinder

ENGINE_MARGIN = 0.25  # seconds before a question's deadline at which the engine gives up and says why


class Answering:
    """Answers with the model that it was given last, by the node's parameters as they are then. now: seconds by its
    clock."""

    def __init__(self, node: Node, feed: CameraFeed, odometry: OdometryFeed, now: Callable[[], float]) -> None:
        self._node, self._feed, self._odometry, self._now = node, feed, odometry, now
        self._log: Any = Node.get_logger(node)
        self._model: tuple[Guide, Wayfinder] | None = None  # together: another thread may take them away

    @property
    def guide(self) -> Guide | None:
        """The model's; None before it is loaded, and when it is unloaded."""
        return None if self._model is None else self._model[0]

    def take(self, guide: Guide | None) -> Guide | None:
        """Answer with this one from now on, or with none; returns the one before, which is the caller's to close."""
        before = self.guide
        self._model = None if guide is None else (guide, Wayfinder(guide))
        return before

    def forget(self) -> None:
        """Drop what is kept of earlier pictures and of the way: the time or the model is another."""
        if (model := self._model) is not None:
            for part in model:
                part.forget()

    def answer(self, ticket: Ticket) -> None:
        """One question to its Instruction, or to the reason why there is none."""
        model = self._model
        if ticket.done:
            return
        if model is None:
            ticket.refuse(Status.NOT_READY, "the model was unloaded")
            return
        try:
            self._answer(ticket, *model)
        except Exception as error:  # the worker's border: whatever went wrong, the wearer is told
            self._log.error(f"question {ticket.query_id}: {traceback.format_exc()}")
            ticket.refuse(Status.ERROR, f"{type(error).__name__}: {error}")

    def _answer(self, ticket: Ticket, guide: Guide, wayfinder: Wayfinder) -> None:
        values = parameters.values_of(self._node)
        guide.options = parameters.guide_options(values)
        end = ticket.deadline - ENGINE_MARGIN
        if not wait_until_ready(guide.engine, end, ticket.cancel):
            ticket.refuse(Status.NOT_READY, "the engine process is starting again")
            return
        timeout = min(float(values["image_timeout"]), end - time.monotonic())
        found = self._feed.frame(guide.options.max_image_age, timeout, ticket.cancel)
        if isinstance(found, Missing):
            ticket.refuse(found.status, found.message)
            return
        known = self._place_of(found, ticket.query) if values["remember_way"] else None
        ticket.finish(
            wayfinder.answer(
                found,
                ticket.query,
                None if known is None else known.place,
                epoch=0 if known is None else known.epoch,
                query_id=ticket.query_id,
                priority=ticket.priority,
                now=self._now,
                started=ticket.received,
                timeout=end - time.monotonic(),
                listener=ticket.listener,
                cancel=ticket.cancel,
            )
        )

    def _place_of(self, frame: Frame, query: str) -> Known | None:
        """Where the wearer was for that picture; None, without waiting, where the question is for no place."""
        return None if landmark_of(query) is None else self._odometry.place(frame.stamp)
