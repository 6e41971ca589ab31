"""The node `walker`: somebody with a cane who asks, hears `instruction` and does it: `walker_node`.

In lockstep, time on /clock goes on only when the walker and all who hear of them are done with the last tick, and
stands still while the guide thinks: the walk is that of `nav-vlm-sim evaluate`. Without, time goes on, and the wearer
walks on slowly until the answer comes, as people do: what a slow guide costs is the way that was walked meanwhile.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from nav_vlm_msgs.msg import Instruction as InstructionMsg
from nav_vlm_msgs.msg import Query
from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Instruction, Status
from nav_vlm_node.ros import qos
from nav_vlm_node.ros.conversions import instruction_from_ros, stamp_from_ros, stamp_to_ros, yaw_to_ros
from nav_vlm_node.ros.declaring import declare_table
from nav_vlm_node.ros.guide_state import GuideState
from nav_vlm_node.ros.run import STOPPED, main_of_one
from nav_vlm_sim.ros.rig_node import EVERY_TICK
from nav_vlm_sim.ros.walk_tables import EPOCH, WALKER, plan_named
from nav_vlm_sim.walks import records
from nav_vlm_sim.walks.episode import THINKING, Situation, Stage, run
from nav_vlm_sim.walks.walker import TICK, Walker

PATIENCE = 60.0  # seconds of real time that somebody is waited for
TRIES = 50  # of one question, until it is answered about the picture from here
PICTURE_LEAD = 0.02  # seconds: a picture is large, and takes longer than the question about it
AGAIN = (Status.NO_IMAGE, Status.STALE_IMAGE, Status.NOT_READY, Status.BUSY, Status.CANCELED)


class WalkerNode(Node):
    """Walks once from where the plan says to the goal, and ends. This node will:

    * Wait until `nav_vlm` is active, by its service `nav_vlm/get_state`, and the rig listens
    * Publish `wearer` (geometry_msgs/PoseStamped, frame map): where the body is, ten times a simulated second
    * Publish `query` (nav_vlm_msgs/Query), and do what comes on `instruction`
    * Subscribe `/clock`: in lockstep, the time up to which the rig is done

    ended: set at the end; `fault` says why where it was too early, `walked` is the walk. Raises UserError for a plan
    that is none.
    """

    def __init__(self, *, ended: threading.Event | None = None, **node_arguments: Any) -> None:
        super().__init__("walker", **node_arguments)
        values = declare_table(self, WALKER)
        self.log: Any = Node.get_logger(self)
        self.ended = ended or threading.Event()
        self.fault = ""
        self.walked: dict[str, Any] = {}
        self._values = values
        self._lockstep = bool(values["lockstep"])
        self._stage = Stage(plan_named(str(values["plan"])))
        name, walks = self._stage.building.plan.name, self._stage.building.plan.walks
        if values["walk"] >= len(walks):
            raise UserError(f"walk is {values['walk']}: {name} has walks 0 to {len(walks) - 1}")
        self._walk = walks[values["walk"]]
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._ticks = 0  # messages on /clock
        self._answers: dict[str, Instruction] = {}
        self._asked = 0
        self._began = 0.0  # time.monotonic() at the first tick
        self._wearers = self.create_publisher(PoseStamped, "wearer", EVERY_TICK)
        self._queries = self.create_publisher(Query, "query", qos.QUESTION)
        self.create_subscription(InstructionMsg, "instruction", self._on_instruction, qos.ANSWER)
        self.create_subscription(Clock, "/clock", self._on_clock, EVERY_TICK)
        self._state = GuideState(self)
        self._thread = threading.Thread(target=self._run, name="walker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the walk. Idempotent."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(5.0)

    # ---- the guide, as the walk asks it ----------------------------------------------------------

    def begin(self, seed: int) -> None:
        """Nothing to forget: the node that is asked begins with the walk."""

    def tell(self, situation: Situation) -> Instruction:
        """What comes on `instruction`, about the picture from here."""
        if not self._lockstep:
            return self._asked_walking(situation)
        for _ in range(TRIES):
            self._show(situation.body)  # the same place and time again: a look
            self._stop.wait(PICTURE_LEAD)
            query = self._ask(situation)
            answer = self._answer_to(query)
            here = stamp_from_ros(stamp_to_ros(EPOCH + situation.time))
            if answer.status not in AGAIN and (answer.stamp == here or answer.status is Status.ERROR):
                return answer
        raise UserError(f"the guide has not answered about the newest picture in {TRIES} tries: {answer.message}")

    def _answer_to(self, query: str) -> Instruction:
        self._wait(lambda: query in self._answers, "the guide's answer")
        return self._answers.pop(query)

    def _asked_walking(self, situation: Situation) -> Instruction:
        query, due, asked = self._ask(situation), -1.0, time.monotonic()
        while not self._stop.is_set():
            answer = self._answers.get(query)
            if answer is None and time.monotonic() - asked > PATIENCE:
                raise UserError(_waited_for("the guide's answer"))
            if answer is not None and due < 0:
                due = situation.body.time + float(self._values["delay"])
            if answer is not None and situation.body.time >= due - 1e-9:
                return answer
            situation.body.stroll(TICK)
        raise UserError(STOPPED)

    def _ask(self, situation: Situation) -> str:
        self._asked += 1
        query = Query(id=f"walk-{id(self):x}-{self._asked}", text=situation.question)
        query.header.stamp = stamp_to_ros(EPOCH + situation.time)
        self._queries.publish(query)
        return str(query.id)

    # ---- the walk ----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._state.await_active(self._stop)
            self._await_others()
            thinking = THINKING if self._lockstep else 0.0
            seed, manner = int(self._values["seed"]), str(self._values["walker"])
            episode = run(self._stage, self._walk, self, seed, manner, thinking=thinking, watch=self._tick)
            self.walked = records.to_json(episode)
            self._write()
            outcome = "arrived" if episode.arrived else "not arrived"
            self.log.info(f"{outcome} after {episode.time:.0f} s, {len(episode.turns)} questions")
        except UserError as error:
            self.fault = str(error)
        except Exception as error:  # the thread's border
            if not self._stop.is_set():
                self.fault = f"{type(error).__name__}: {error}"
        finally:
            self.ended.set()

    def _write(self) -> None:
        if self._values["record"]:
            path = Path(str(self._values["record"]))
            draft = path.with_name(path.name + ".part")
            try:
                draft.write_text(json.dumps(self.walked), encoding="utf-8")
                draft.replace(path)
            except OSError as error:
                raise UserError(f"cannot write {path}: {error.strerror or error}; give another record") from None

    def _tick(self, body: Walker) -> None:
        if self._stop.is_set():
            raise UserError(STOPPED)
        if self._lockstep:
            self._show(body)
            return
        self._began = self._began or time.monotonic()
        late = self._began + body.time / float(self._values["speed"]) - time.monotonic()
        if late > 0:
            self._stop.wait(late)
        self._publish(body)

    def _show(self, body: Walker) -> None:
        """Publish where the body is, and wait until the rig is done with it."""
        before = self._ticks
        self._publish(body)
        self._wait(lambda: self._ticks > before, "the rig (/clock)")

    def _publish(self, body: Walker) -> None:
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = stamp_to_ros(EPOCH + body.time), "map"
        pose.pose.position.x, pose.pose.position.y = body.x, body.y
        pose.pose.orientation = yaw_to_ros(body.yaw)
        self._wearers.publish(pose)

    # ---- waiting -----------------------------------------------------------------------------------

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: condition() or self._stop.is_set(), PATIENCE):
                raise UserError(_waited_for(what))
        if self._stop.is_set():
            raise UserError(STOPPED)

    def _await_others(self) -> None:
        end = time.monotonic() + PATIENCE
        while not self._stop.is_set():
            rig = self._wearers.get_subscription_count() and self.count_publishers("/clock")
            if rig and self._queries.get_subscription_count() and self.count_publishers("instruction"):
                return
            if time.monotonic() > end:
                raise UserError("nobody follows the wearer, or hears the questions; start sim_rig and nav_vlm")
            self._stop.wait(0.05)

    def _on_instruction(self, message: InstructionMsg) -> None:
        with self._changed:
            self._answers[message.query_id] = instruction_from_ros(message)
            self._changed.notify_all()

    def _on_clock(self, message: Clock) -> None:
        with self._changed:
            self._ticks += 1
            self._changed.notify_all()


def _waited_for(what: str) -> str:
    return f"waited {PATIENCE:g} s for {what}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Walks once; returns the exit status: 1 where the walk could not be ended, 2 for bad parameters."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return main_of_one("walker_node", lambda ended: WalkerNode(ended=ended), ["walker_node", *words])


if __name__ == "__main__":
    raise SystemExit(main())
