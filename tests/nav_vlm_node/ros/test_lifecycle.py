"""What happens to questions, and to the log, when the node changes state or cannot."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters

from nav_vlm_msgs.msg import Instruction as Msg
from nav_vlm_node.errors import UserError
from nav_vlm_node.ros.diagnostics import model_status
from nav_vlm_node.ros.engines import load_configured_engine
from nav_vlm_node.ros.node import GuideNode
from nav_vlm_node.ros.parameters import defaults
from nav_vlm_node.vlm.protocol import Engine, EngineDeadline, EngineUnavailable
from nav_vlm_node.vlm.scripted import ScriptedEngine
from nav_vlm_node.vlm.supervised import SupervisedEngine
from tests.conftest import Graph
from tests.ros_rig import GOOD, Brake, Wearer, guide_node

ROOT = str(Path(__file__).parents[3])
FAULTS = "tests.nav_vlm_node.vlm.faults:faulty"


@pytest.fixture
def brake() -> Iterator[Brake]:
    brake = Brake(at=5)
    yield brake
    brake.release()


def test_deactivating_cancels_what_is_being_answered(ros: Graph, brake: Brake) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake)))
    wearer.look()
    wearer.ask(query_id="running")
    assert brake.reached.wait(60)
    assert wearer.transition("deactivate")
    answer = wearer.answer("running")
    assert answer.status == Msg.STATUS_CANCELED
    assert "deactivated" in answer.message
    brake.at = -1
    brake.release()
    assert wearer.transition("activate")
    assert wearer.ask_and_hear(query_id="next").status == Msg.STATUS_OK
    assert len(wearer.answers("running")) == 1


def test_deactivating_ends_the_wait_for_an_image(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    wearer.ask(query_id="waiting")
    ros.until(lambda: wearer.guide.desk.busy)
    assert wearer.transition("deactivate")
    assert wearer.answer("waiting").status == Msg.STATUS_CANCELED
    assert wearer.transition("activate")
    wearer.look()
    assert wearer.ask_and_hear(query_id="next").status == Msg.STATUS_OK  # the worker is not waiting any more


def test_stopping_answers_what_is_open(ros: Graph, brake: Brake) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake)))
    wearer.look()
    wearer.ask(query_id="running")
    assert brake.reached.wait(60)
    wearer.guide.stop(grace=0.1)
    answer = wearer.answer("running")
    assert answer.status == Msg.STATUS_CANCELED
    assert "shut down" in answer.message
    assert wearer.ask_and_hear(query_id="after").status == Msg.STATUS_NOT_READY


@pytest.mark.parametrize(
    "error",
    [UserError("no model directory /nowhere: give one"), EngineUnavailable("signal 9"), RuntimeError("CUDA is gone")],
)
def test_a_model_that_cannot_be_loaded_is_logged_told_and_can_be_tried_again(
    ros: Graph, capfd: pytest.CaptureFixture[str], error: Exception
) -> None:
    failing = [True]

    def make() -> Engine:
        if failing[0]:
            raise error
        return ScriptedEngine(GOOD)

    guide = guide_node(ros, make)
    wearer = Wearer(ros, guide, active=False)
    ros.until(lambda: guide.fault)
    assert guide.state == "unconfigured"
    assert str(error) in guide.fault
    status = model_status(guide.snapshot())
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, guide.fault)
    answer = wearer.ask_and_hear(query_id="broken")
    assert answer.status == Msg.STATUS_NOT_READY
    assert str(error) in answer.message
    assert f"configure failed: {'' if isinstance(error, UserError) else type(error).__name__}" in capfd.readouterr().err
    failing[0] = False
    assert wearer.transition("configure")
    assert wearer.transition("activate")
    wearer.look()
    assert wearer.ask_and_hear(query_id="works").status == Msg.STATUS_OK
    assert guide.fault == ""


def test_a_model_that_loads_and_does_not_answer_is_closed_again(ros: Graph) -> None:
    def fail(index: int) -> None:
        raise EngineDeadline("nothing came")

    engine = ScriptedEngine(GOOD, on_token=fail)
    guide = guide_node(ros, engine)
    ros.until(lambda: guide.fault)
    assert "nothing came" in guide.fault
    with pytest.raises(EngineUnavailable):
        engine.set_adapter("")


@pytest.mark.parametrize("use", ["_deadline", "forget"])
def test_a_model_that_is_unloaded_meanwhile_stops_nobody(ros: Graph, monkeypatch: pytest.MonkeyPatch, use: str) -> None:
    guide = guide_node(ros, deadline=0.0)  # one that the model's device decides
    ros.until(lambda: guide.state == "active")
    values = [guide.guide]
    with monkeypatch.context() as patched:
        patched.setattr(GuideNode, "guide", property(lambda _: values.pop() if values else None), raising=False)
        getattr(guide, use)()


def test_switching_on_opens_no_node_that_is_being_deactivated(ros: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = guide_node(ros)
    ros.until(lambda: guide.state == "active")
    guide.enable(False)
    deactivating = threading.Thread(target=guide.on_deactivate, args=(None,))
    opened = guide.desk.open

    def open_meanwhile() -> None:
        deactivating.start()
        deactivating.join(0.2)  # it has to wait: it cannot be heard of
        opened()

    monkeypatch.setattr(guide.desk, "open", open_meanwhile)
    guide.enable(True)
    deactivating.join(60)
    assert guide.state == "inactive"
    assert guide.desk.closed is not None


def test_cleanup_frees_the_model_and_configure_loads_it_again(ros: Graph) -> None:
    engines: list[ScriptedEngine] = []

    def make() -> Engine:
        engines.append(ScriptedEngine(GOOD))
        return engines[-1]

    wearer = Wearer(ros, guide_node(ros, make))
    wearer.look()
    for name in ("deactivate", "cleanup", "configure", "activate"):
        assert wearer.transition(name), name
    assert wearer.ask_and_hear().status == Msg.STATUS_OK
    assert len(engines) == 2
    with pytest.raises(EngineUnavailable):
        engines[0].set_adapter("")


def test_everything_is_answered_while_the_model_is_loaded(ros: Graph) -> None:
    loading, loaded = threading.Event(), threading.Event()

    def make() -> Engine:
        loading.set()
        assert loaded.wait(120)
        return ScriptedEngine(GOOD)

    guide = guide_node(ros, make, autostart=False)
    wearer = Wearer(ros, guide, active=False)
    client = wearer.node.create_client(ChangeState, "nav_vlm/change_state")
    ros.until(client.service_is_ready)
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    configured = client.call_async(request)
    assert loading.wait(60)
    names = GetParameters.Request(names=["bearings"])
    assert ros.call(wearer.node, GetParameters, "nav_vlm/get_parameters", names).values[0].string_value == "degrees"
    answer = wearer.ask_and_hear(query_id="early")
    assert (answer.status, answer.message) == (Msg.STATUS_NOT_READY, "the model is being loaded")
    assert not configured.done()
    loaded.set()
    assert ros.result(configured).success


def test_a_transition_that_is_not_allowed_changes_nothing(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    assert not wearer.transition("configure")  # and it says so; rclpy alone raises, and its executor ends
    wearer.look()
    assert wearer.ask_and_hear().status == Msg.STATUS_OK


@pytest.mark.parametrize(
    ("values", "engine"),
    [
        ({}, ("process", {"python": None})),
        ({"engine_python": sys.executable}, ("process", {"python": sys.executable})),
        ({"engine_process": False}, ("here", {})),
    ],
)
def test_the_engine_of_the_parameters(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], engine: tuple[str, dict[str, Any]]
) -> None:
    made: list[tuple[Any, ...]] = []
    for kind, name in (("process", "supervised.SupervisedEngine"), ("here", "load.load_engine")):
        monkeypatch.setattr(f"nav_vlm_node.vlm.{name}", lambda *args, kind=kind, **kw: made.append((kind, kw, args)))
    load_configured_engine({**defaults(), "model": "/m", "adapter": "a", "device": "cpu", **values})
    assert made == [(*engine, ("/m", "a", "cpu", "auto"))]


def test_a_python_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"engine_python '~/no/python' is no program; give a Python's path"):
        load_configured_engine({**defaults(), "engine_python": "~/no/python"})


@pytest.mark.parametrize(("fault", "cause"), [("exit", "EngineCrashed"), ("segfault", "EngineCrashed")])
def test_an_engine_process_that_dies_in_the_middle_of_an_answer(ros: Graph, fault: str, cause: str) -> None:
    def make() -> Engine:
        return SupervisedEngine.from_factory(FAULTS, {"fault": fault}, python_path=[ROOT])

    guide = guide_node(ros, make)
    wearer = Wearer(ros, guide)
    wearer.look()
    assert guide.guide is not None
    engine = guide.guide.engine
    assert isinstance(engine, SupervisedEngine)
    answer = wearer.ask_and_hear("Where is the door now", "dies")
    assert answer.status == Msg.STATUS_ERROR
    assert cause in answer.message
    assert answer.text == "The guide stopped while answering and is starting again. Please ask again in a moment."
    next_answer = wearer.ask_and_hear("Where is the door?", "next")  # waits until the process is back
    assert next_answer.status == Msg.STATUS_UNSURE  # "one two three ..." is no instruction, but it is an answer
    assert "one two three" in next_answer.message
    assert guide.snapshot().engine is not None
    assert wearer.transition("deactivate")
    assert wearer.transition("cleanup")
    assert engine.status.state == "closed"
