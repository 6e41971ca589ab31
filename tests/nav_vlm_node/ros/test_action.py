"""The action `guide`: streamed feedback, real cancel, results that say what happened."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from rclpy.action.client import ActionClient

from nav_vlm_msgs.action import Guide
from nav_vlm_msgs.msg import Instruction as Msg
from nav_vlm_msgs.msg import Query
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.conftest import Graph
from tests.ros_rig import GOOD, Brake, Wearer, guide_node


@pytest.fixture
def brake() -> Iterator[Brake]:
    brake = Brake(at=5)
    yield brake
    brake.release()


class Client:
    """An action client that keeps its feedback."""

    def __init__(self, ros: Graph, wearer: Wearer) -> None:
        self.ros, self.node = ros, wearer.node
        self.client = ActionClient(wearer.node, Guide, "guide")
        self.feedback: list[Any] = []
        ros.until(self.client.server_is_ready, "the action server")

    def send(self, query_id: str = "", text: str = "Where is the door?") -> Any:
        goal = Guide.Goal(query=Query(id=query_id, text=text))
        return self.ros.asked(
            self.node, lambda: self.client.send_goal_async(goal, feedback_callback=self._take), "the goal's answer"
        )

    def cancel(self, goal: Any) -> Any:
        return self.ros.asked(self.node, goal.cancel_goal_async, "the cancel")

    def result(self, goal: Any) -> tuple[int, Msg]:
        """(GoalStatus, Instruction)"""
        wrapped = self.ros.asked(self.node, goal.get_result_async, "the goal's result")
        return wrapped.status, wrapped.result.instruction

    def _take(self, message: Any) -> None:
        self.feedback.append(message.feedback)
        self.ros.changed()


def test_an_answer_is_watched_while_it_is_written(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, delay=0.01)))
    client = Client(ros, wearer)
    image = wearer.look()
    goal = client.send("a1")
    assert goal.accepted
    status, instruction = client.result(goal)
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert instruction.status == Msg.STATUS_OK
    assert instruction.header == image.header
    assert repr(instruction) == repr(wearer.answer("a1"))  # the same answer goes to everyone
    # rclpy's client drops the feedback that arrives with the result.
    stages = [feedback.stage for feedback in client.feedback]
    assert stages == sorted(stages)
    assert {Guide.Feedback.STAGE_LOOKING, Guide.Feedback.STAGE_ANSWERING} <= set(stages)
    texts = [feedback.text for feedback in client.feedback if feedback.text]
    assert len(set(texts)) > 5
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise([*texts, GOOD]))
    released = client.feedback[-1].released
    assert released
    assert instruction.text.startswith(" ".join(released))
    assert {feedback.query_id for feedback in client.feedback} == {"a1"}


def test_topic_and_action_answer_the_same(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    client = Client(ros, wearer)
    wearer.look()
    _, by_action = client.result(client.send("a"))
    by_topic = wearer.ask_and_hear(query_id="t")
    for name in ("text", "status", "confidence", "model", "query", "header"):
        assert getattr(by_action, name) == getattr(by_topic, name)
    assert repr(by_action.steps) == repr(by_topic.steps)


def test_cancel_stops_the_model_at_its_next_token(ros: Graph, brake: Brake) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake)))
    client = Client(ros, wearer)
    wearer.look()
    goal = client.send("a1")
    assert brake.reached.wait(60)
    response = client.cancel(goal)
    assert len(response.goals_canceling) == 1
    status, instruction = client.result(goal)  # at once, while the model still writes
    assert status == GoalStatus.STATUS_CANCELED
    assert instruction.status == Msg.STATUS_CANCELED
    assert instruction.message == "canceled by the client"
    begun = brake.tokens
    brake.at = -1
    brake.release()
    assert wearer.ask_and_hear(query_id="next").status == Msg.STATUS_OK
    assert brake.tokens == begun + len(GOOD.split())
    assert [message.status for message in wearer.answers("a1")] == [Msg.STATUS_CANCELED]


def test_cancel_while_waiting_for_an_image(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    client = Client(ros, wearer)
    goal = client.send("a1")
    ros.until(lambda: wearer.guide.desk.busy)
    client.cancel(goal)
    assert client.result(goal)[0] == GoalStatus.STATUS_CANCELED
    wearer.look()
    assert wearer.ask_and_hear(query_id="next").status == Msg.STATUS_OK


def test_a_superseded_goal_is_aborted_with_the_reason(ros: Graph, brake: Brake) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake)))
    client = Client(ros, wearer)
    wearer.look()
    old = client.send("old")
    assert brake.reached.wait(60)
    new = client.send("new")
    status, instruction = client.result(old)
    assert (status, instruction.status) == (GoalStatus.STATUS_ABORTED, Msg.STATUS_CANCELED)
    assert "superseded by question new" in instruction.message
    brake.at = -1
    brake.release()
    assert client.result(new)[0] == GoalStatus.STATUS_SUCCEEDED


def test_a_busy_node_says_so(ros: Graph, brake: Brake) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake), busy_policy="reject"))
    client = Client(ros, wearer)
    wearer.look()
    first = client.send("first")
    assert brake.reached.wait(60)
    status, instruction = client.result(client.send("second"))
    assert (status, instruction.status) == (GoalStatus.STATUS_ABORTED, Msg.STATUS_BUSY)
    brake.release()
    assert client.result(first)[0] == GoalStatus.STATUS_SUCCEEDED


def test_a_goal_whose_id_was_seen_is_rejected(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    client = Client(ros, wearer)
    wearer.look()
    wearer.ask_and_hear(query_id="same")
    assert not client.send("same").accepted
    assert client.send("").accepted


def test_a_goal_whose_id_came_by_topic_after_it_was_accepted_is_told_so(
    ros: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    wearer = Wearer(ros, guide_node(ros))
    client = Client(ros, wearer)
    wearer.look()
    wearer.ask_and_hear(query_id="same")
    monkeypatch.setattr(wearer.guide.desk, "seen", lambda _: False)  # as it was when the goal came
    status, instruction = client.result(client.send("same"))
    assert (status, instruction.status) == (GoalStatus.STATUS_ABORTED, Msg.STATUS_BUSY)
    assert instruction.query_id == "same"
    assert instruction.text
    assert "'same' has come before" in instruction.message
    assert len(wearer.answers("same")) == 1


def test_a_goal_before_activation_is_aborted_with_the_reason(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, autostart=False), active=False)
    client = Client(ros, wearer)
    status, instruction = client.result(client.send("early"))
    assert (status, instruction.status) == (GoalStatus.STATUS_ABORTED, Msg.STATUS_NOT_READY)


def test_what_is_no_question_is_aborted(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    client = Client(ros, wearer)
    status, instruction = client.result(client.send("empty", ""))
    assert (status, instruction.status) == (GoalStatus.STATUS_ABORTED, Msg.STATUS_INVALID_QUERY)


def test_stopping_the_node_ends_its_goals(ros: Graph, brake: Brake) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake)))
    client = Client(ros, wearer)
    wearer.look()
    goal = client.send("running")
    assert brake.reached.wait(60)
    wearer.guide.stop(grace=1.0)
    status, instruction = client.result(goal)
    assert (status, instruction.status) == (GoalStatus.STATUS_ABORTED, Msg.STATUS_CANCELED)
