"""Simulated time: ages are by the node's clock, and a clock that jumps back forgets what was seen."""

from __future__ import annotations

from typing import Any

import pytest
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from nav_vlm_msgs.msg import Instruction as Msg
from nav_vlm_node.frames import Image
from nav_vlm_node.ros.conversions import stamp_to_ros
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.conftest import Graph
from tests.ros_rig import GOOD, Brake, Wearer, guide_node


class Simulation:
    """Publishes /clock, and waits until the node has it."""

    def __init__(self, ros: Graph, guide: Any) -> None:
        self.ros, self.guide = ros, guide
        self.node = ros.node("simulation")
        self.clock = self.node.create_publisher(Clock, "/clock", 10)
        ros.until(lambda: self.clock.get_subscription_count(), "the clock to be discovered")

    def set(self, seconds: float) -> None:
        self.clock.publish(Clock(clock=stamp_to_ros(seconds)))
        self.ros.until(lambda: abs(self.guide.now() - seconds) < 1e-6, f"the clock to say {seconds}")


def started(ros: Graph, engine: Any = GOOD, **parameters: Any) -> tuple[Simulation, Wearer]:
    values = {"use_sim_time": True, "max_image_age": 0.5, "max_answer_age": 3.0, "image_timeout": 0.2, **parameters}
    guide = guide_node(ros, engine, **values)
    simulation = Simulation(ros, guide)
    simulation.set(1000.0)
    return simulation, Wearer(ros, guide)


def test_ages_are_by_simulated_time(ros: Graph) -> None:
    simulation, wearer = started(ros)
    wearer.look(stamp=999.8)
    answer = wearer.ask_and_hear(query_id="fresh")
    assert answer.status == Msg.STATUS_OK
    assert answer.image_age == pytest.approx(0.2)
    simulation.set(1002.0)
    answer = wearer.ask_and_hear(query_id="stale")
    assert answer.status == Msg.STATUS_STALE_IMAGE
    assert "2.20 s old" in answer.message


def test_while_simulated_time_stands_still_the_deadline_holds(ros: Graph) -> None:
    brake = Brake(at=3)
    _, wearer = started(ros, ScriptedEngine(GOOD, on_token=brake), deadline=1.0)
    wearer.look(stamp=1000.0)
    try:
        answer = wearer.ask_and_hear()
    finally:
        brake.release()
    assert answer.status == Msg.STATUS_ERROR


def test_a_bag_that_is_played_again_from_its_start(ros: Graph) -> None:
    engine = ScriptedEngine("Stop.")
    simulation, wearer = started(ros, engine)
    wearer.look(stamp=1000.0)
    assert wearer.ask_and_hear(query_id="first").status == Msg.STATUS_OK
    encoded = engine.encoded
    simulation.set(500.0)
    answer = wearer.ask_and_hear(query_id="before the first image")
    assert answer.status == Msg.STATUS_NO_IMAGE  # what is left of the first round is not taken for one from the future
    wearer.look(stamp=500.0)
    answer = wearer.ask_and_hear(query_id="again")
    assert answer.status == Msg.STATUS_OK
    assert answer.image_age == pytest.approx(0.0)
    assert engine.encoded == encoded + 1


def test_an_answer_about_an_image_that_has_become_old_is_withheld(ros: Graph) -> None:
    simulations: list[Simulation] = []

    def slow(image: Image, query: str) -> str:
        if simulations:
            simulations[0].set(1003.5)
        return GOOD

    simulation, wearer = started(ros, ScriptedEngine(slow))
    wearer.look(stamp=1000.0)
    simulations.append(simulation)
    answer = wearer.ask_and_hear()
    assert answer.status == Msg.STATUS_STALE_IMAGE
    assert "max_answer_age is 3 s" in answer.message
    assert not answer.steps
    assert "Turn" not in answer.text


def test_a_direction_is_repeated_as_long_as_it_may_be_given_and_a_warning_always(ros: Graph) -> None:
    answers = {"Where is the door?": GOOD, "Is anything in my way?": "Caution, chair ahead at 1 metre."}
    simulation, wearer = started(ros, ScriptedEngine(answers))

    def repeated() -> str:
        return str(ros.call(wearer.node, Trigger, "repeat", Trigger.Request()).message)

    wearer.look(stamp=1000.0)
    sent = wearer.ask_and_hear(query_id="sent")
    simulation.set(1002.9)
    assert repeated() == sent.text
    simulation.set(1003.5)
    assert repeated() == "That was a while ago. Please ask again."
    wearer.look(stamp=1003.5)
    warned = wearer.ask_and_hear("Is anything in my way?", "warned")
    simulation.set(1050.0)
    assert repeated() == warned.text
    wearer.look(stamp=1050.0)
    wearer.ask_and_hear(query_id="before the jump")
    simulation.set(1049.9)
    assert repeated() == "That was a while ago. Please ask again."
