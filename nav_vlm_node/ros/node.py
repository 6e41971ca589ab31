"""The node `nav_vlm`: camera and questions in, instructions out. Run `guide_node`."""

from __future__ import annotations

import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold  # type: ignore[attr-defined]  # Humble: only here
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from std_msgs.msg import String

from nav_vlm_msgs.msg import Instruction as InstructionMsg
from nav_vlm_msgs.msg import Query
from nav_vlm_node.errors import UserError
from nav_vlm_node.guide import SILENT, Guide, Listener, query_problem
from nav_vlm_node.instruction import Instruction, Status
from nav_vlm_node.replies import say
from nav_vlm_node.ros import diagnostics, parameters, qos
from nav_vlm_node.ros.answering import Answering
from nav_vlm_node.ros.camera_feed import CameraFeed
from nav_vlm_node.ros.conversions import instruction_to_ros
from nav_vlm_node.ros.engines import load_configured_engine
from nav_vlm_node.ros.guide_action import GuideAction
from nav_vlm_node.ros.odometry import OdometryFeed
from nav_vlm_node.ros.parameter_table import Value
from nav_vlm_node.ros.queries import Answered, Desk, Ticket
from nav_vlm_node.ros.repeating import LastSpoken
from nav_vlm_node.ros.run import main_of
from nav_vlm_node.ros.services import Services
from nav_vlm_node.ros.transitions import run_transitions_on
from nav_vlm_node.ros.worker import Worker
from nav_vlm_node.vlm.protocol import Engine

EngineFactory = Callable[[Mapping[str, Value]], Engine]
GPU_DEADLINE, CPU_DEADLINE = 5.0, 15.0  # seconds, DESIGN section 3


class GuideNode(LifecycleNode):
    """Answers questions about what the camera shows now. This node will:

    * Subscribe `image` (sensor_msgs/Image), or `image/compressed` (CompressedImage) by parameter `image_transport`
    * Subscribe `camera_info` (sensor_msgs/CameraInfo)
    * Subscribe `odom` (nav_msgs/Odometry): with it, what was seen on the way to a goal leads on (`remember_way`)
    * Subscribe `query` (nav_vlm_msgs/Query) and `query_text` (std_msgs/String)
    * Publish `instruction` (nav_vlm_msgs/Instruction) and `instruction_text` (std_msgs/String)
    * Publish `/diagnostics` (diagnostic_msgs/DiagnosticArray)
    * Offer the action `guide` (nav_vlm_msgs/Guide)
    * Offer the services `enable` (SetBool), `repeat` (Trigger), `set_adapter`, `list_adapters` (nav_vlm_msgs)

    The model is loaded in configure and freed in cleanup. Questions are answered while the node is active, before that
    with NOT_READY. Callbacks only hand things over: one worker thread runs the model, or talks to the model's process.

    engine_factory: for tests; makes the engine from the parameters' values, on the worker thread.
    """

    def __init__(self, *, engine_factory: EngineFactory = load_configured_engine, **node_arguments: Any) -> None:
        super().__init__("nav_vlm", **node_arguments)
        self.log: Any = Node.get_logger(self)
        self._transitions = Worker("nav_vlm_transitions")
        run_transitions_on(self._transitions, self)
        parameters.declare(self)
        self._engine_factory = engine_factory
        self._gate = threading.RLock()  # state, enabled, and whether the desk is open change together
        self.enabled = True
        self.fault = ""
        self.state = "unconfigured"
        self._last = LastSpoken()
        self._latency = math.nan  # of the last answer
        self.worker = Worker()
        self.desk = Desk(self._publish, self._start)
        # For executors with several threads: one callback at a time, except what waits for the worker.
        self.group = MutuallyExclusiveCallbackGroup()
        self.waiting_group = ReentrantCallbackGroup()
        self._instructions = self.create_publisher(InstructionMsg, "instruction", qos.ANSWER)
        self._texts = self.create_publisher(String, "instruction_text", qos.ANSWER)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        self.feed = CameraFeed(self, str(self._value("image_transport")), self.group)
        self.odometry = OdometryFeed(self, self.group)
        self._answering = Answering(self, self.feed, self.odometry, self.now)
        self.create_subscription(Query, "query", self._on_query, qos.QUESTION, callback_group=self.group)
        self.create_subscription(String, "query_text", self._on_query_text, qos.QUESTION, callback_group=self.group)
        self.action = GuideAction(self, self.desk, self.submit, self._to_message)
        self.offered = Services(self)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # the deadlines hold while simulated time stands still
        self.create_timer(0.05, self.desk.expire, callback_group=self.group, clock=steady)
        period = float(self._value("diagnostics_period"))
        self.create_timer(period, self._publish_diagnostics, callback_group=self.group, clock=steady)
        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True),
            post_callback=self._on_time_jump,
        )
        if self._value("autostart"):
            self._transitions.submit(self._start_up)

    @property
    def guide(self) -> Guide | None:
        """What answers; None before the model is loaded."""
        return self._answering.guide

    # questions

    def submit(
        self,
        text: str,
        query_id: str = "",
        priority: int = 0,
        listener: Listener = SILENT,
        also_tell: Iterable[Answered] = (),
    ) -> Ticket | None:
        """Take in a question, from wherever it came; None if its id has been seen before."""
        return self.desk.submit(
            text,
            query_id=query_id,
            priority=priority,
            deadline=self._deadline(),
            preempt=self._value("busy_policy") == "preempt",
            invalid=query_problem(text, int(self._value("max_query_length"))),
            listener=listener,
            also_tell=also_tell,
        )

    def now(self) -> float:
        """Seconds by the node's clock: simulated time under use_sim_time."""
        return float(self.get_clock().now().nanoseconds) * 1e-9

    def publish_again(self) -> Instruction | None:
        """Say once more what was said last, or that it does not count any more; None if nothing was said."""
        options = parameters.guide_options(parameters.values_of(self))
        now = self.now()
        again = self._last.again(now, options, self.desk.closed, self.odometry.nearest(now))
        if again is not None:
            self._send(again)
        return again

    def spoken(self, sentence: str) -> str:
        """A fixed sentence in the wearer's language; any other comes back as it is."""
        return say(sentence, str(self._value("language")))

    def _on_query(self, message: Query) -> None:
        if self.submit(message.text, message.id, message.priority) is None:
            self.log.info(f"question {message.id!r} has come before and is not answered again")

    def _on_query_text(self, message: String) -> None:
        self.submit(message.data)

    def _start(self, ticket: Ticket) -> None:
        self.feed.wake()  # an older question may be waiting for an image
        self.worker.submit(lambda: self._answering.answer(ticket))

    def _publish(self, instruction: Instruction) -> None:
        if instruction.steps or instruction.status in (Status.OK, Status.NOT_VISIBLE, Status.SEARCHING):
            self._latency = instruction.latency
        self._last.remember(instruction, self.odometry.nearest(instruction.stamp))
        if instruction.status is Status.ERROR:
            self.log.error(f"question {instruction.query_id}: {instruction.message}")
        self._send(instruction)

    def _send(self, instruction: Instruction) -> None:
        if not self.context.ok():  # whoever ended it did so without stop(): there is nobody left to tell
            return
        message = self._to_message(instruction)
        self._instructions.publish(message)
        if message.text:
            self._texts.publish(String(data=message.text))

    def _to_message(self, instruction: Instruction) -> InstructionMsg:
        message = instruction_to_ros(instruction, self.feed.stamp_of(instruction.stamp))
        message.text = self.spoken(message.text)
        return message

    def _deadline(self) -> float:
        chosen = float(self._value("deadline"))
        if chosen > 0:
            return chosen
        guide = self.guide
        on_gpu = guide is not None and guide.engine.info.device.startswith("cuda")
        return GPU_DEADLINE if on_gpu else CPU_DEADLINE

    def _value(self, name: str) -> Value:
        return self.get_parameter(name).value

    def _on_time_jump(self, jump: Any) -> None:
        self.log.info("the clock was set back or changed: earlier images are forgotten")
        self.feed.clear()
        self.odometry.clear()
        self._last.forget()
        self.forget()

    def forget(self) -> None:
        """Drop what is kept of earlier pictures and of the way: the time or the model is another."""
        self._answering.forget()

    # lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model."""
        return self._transition("configure", self._load, after="inactive", otherwise="unconfigured")

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Answer from now on."""
        return self._transition("activate", self._open, after="active", otherwise="inactive")

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Keep the model, stop answering."""
        self._shut("inactive", "the node was deactivated", Status.CANCELED)
        return self._transition("deactivate", self.feed.wake, after="inactive", otherwise="active")

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model."""
        return self._transition("cleanup", self._unload, after="unconfigured", otherwise="inactive")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Tell who still waits, and free the model."""
        self._shut("finalized", "the node is shut down", Status.CANCELED)
        return self._transition("shutdown", self._unload, after="finalized", otherwise="finalized")

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, from where it can be tried again."""
        return self._transition("error", self._unload, after="unconfigured", otherwise="finalized")

    def _transition(
        self, name: str, work: Callable[[], object], *, after: str, otherwise: str
    ) -> TransitionCallbackReturn:
        """Do `work`; a failure is logged with its cause, which rclpy would swallow."""
        try:
            work()
        except Exception as error:
            expected = isinstance(error, UserError)
            fault = f"{name} failed: {error}" if expected else f"{name} failed: {type(error).__name__}: {error}"
            self.log.error(fault if expected else f"{fault}\n{traceback.format_exc()}")
            self.state, self.fault = otherwise, fault
            if otherwise != "active":
                self._shut(otherwise, fault)
            return TransitionCallbackReturn.FAILURE
        self.state, self.fault = after, ""
        self.log.info(f"{name}: done, the node is {after}")
        return TransitionCallbackReturn.SUCCESS

    def _load(self) -> None:
        self.desk.close(Status.NOT_READY, "the model is being loaded")
        values = parameters.values_of(self)

        def load() -> Guide:
            guide = Guide(self._engine_factory(values), parameters.guide_options(values))
            try:
                guide.warm_up()
            except BaseException:
                guide.engine.close()
                raise
            return guide

        guide = self._wait(self.worker.submit(load))
        self._answering.take(guide)
        info = guide.engine.info
        self.desk.close(Status.NOT_READY, "the node is not active")
        self.log.info(f"model {info.model}, adapter {info.adapter or '(none)'}, {info.dtype} on {info.device}")

    def _wait(self, future: Future[Guide]) -> Guide:
        """`future`'s result; looks up now and then, so that Ctrl-C ends a long load."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not done.wait(0.2):
            if not self.context.ok() or self.worker.closed:
                future.add_done_callback(_discard)
                raise UserError("interrupted")
        return future.result()

    def _open(self) -> None:
        with self._gate:
            self.state = "active"
            if self.enabled:
                self._last.forget()  # that it was off
                self.desk.open()
            else:
                self.desk.close(Status.DISABLED, "answering is switched off (service enable)")

    def _shut(self, state: str, message: str, answer_as: Status | None = None) -> None:
        """Answer no more in `state`, where `enable` opens nothing."""
        with self._gate:
            self.state = state
            self.desk.close(Status.NOT_READY, message, answer_as)
            self._last.forget()

    def enable(self, wanted: bool) -> str:
        """Switch answering on or off; returns what is the case now."""
        with self._gate:
            self.enabled, state = wanted, self.state
            if not wanted:
                self.desk.close(Status.DISABLED, "answering is switched off (service enable)")
                self._last.forget()
            elif state == "active":
                self._open()
        if not wanted:
            self.feed.wake()
        return f"answering is {'on' if wanted else 'off'}; the node is {state}"

    def _unload(self) -> None:
        self._shut("unconfigured", "the node is not configured")
        self.feed.wake()
        guide = self._answering.take(None)
        if guide is not None:
            guide.engine.close()

    def _start_up(self) -> None:
        if LifecycleNode.trigger_configure(self) == TransitionCallbackReturn.SUCCESS:
            LifecycleNode.trigger_activate(self)

    def destroy_node(self) -> None:
        """Also frees the model, if `stop` has not been called."""
        self.stop(grace=0.2)
        LifecycleNode.destroy_node(self)

    def stop(self, grace: float = 1.0) -> None:
        """Best while the executor still spins: every open question is answered, then the model is freed. Idempotent."""
        self._shut("finalized", "the node is shut down", Status.CANCELED)
        self.feed.wake()
        end = time.monotonic() + grace
        while self.action.active and time.monotonic() < end:
            time.sleep(0.01)
        self._unload()
        if not self.worker.close(grace):
            self.log.warning("the model did not stop in time and is left behind")
        if self._transitions.close(grace):  # one that was loading has been interrupted, unless it was just done
            self._unload()

    # diagnostics

    def _publish_diagnostics(self) -> None:
        message = diagnostics.diagnostics_of(self.snapshot(), self.get_fully_qualified_name().lstrip("/"))
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def snapshot(self) -> diagnostics.Snapshot:
        """How the node is now."""
        guide, feed = self.guide, self.feed
        return diagnostics.Snapshot(
            state=self.state,
            enabled=self.enabled,
            fault=self.fault,
            info=None if guide is None else guide.engine.info,
            engine=None if guide is None else getattr(guide.engine, "status", None),
            image_topic=feed.topic,
            image_age=feed.age(),
            image_rate=feed.rate,
            image_count=feed.count,
            image_publishers=feed.publishers,
            image_problem=feed.problem,
            camera_info=feed.camera_info is not None,
            max_image_age=float(self._value("max_image_age")),
            busy=self.desk.busy,
            counts=dict(self.desk.counts),
            last_latency=self._latency,
        )


def _discard(late: Future[Guide]) -> None:
    """Free a model that was loaded for nobody."""
    if not late.cancelled() and late.exception() is None:
        late.result().engine.close()


def main() -> int:
    """The executable `guide_node`."""
    return main_of(lambda: [GuideNode()])


if __name__ == "__main__":
    sys.exit(main())
