"""The node on a real graph: questions by topic, images, refusals, parameters, services."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from nav_vlm_msgs.msg import Instruction as Msg
from nav_vlm_msgs.msg import Query
from nav_vlm_msgs.srv import ListAdapters, SetAdapter
from nav_vlm_node.frames import Image
from nav_vlm_node.instruction import Action, Status
from nav_vlm_node.ros.conversions import camera_to_ros
from nav_vlm_node.view import Camera, View
from nav_vlm_node.vlm.scripted import ScriptedEngine
from tests.conftest import Graph
from tests.pictures import room
from tests.ros_rig import GOOD, Brake, Wearer, guide_node, plain


@pytest.fixture
def brake() -> Iterator[Brake]:
    """Released at the end, so that a failing test does not hang in its engine."""
    brake = Brake()
    yield brake
    brake.release()


def test_an_answer_carries_everything(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    image = wearer.look()
    answer = wearer.ask_and_hear("Where is the door?", "q1")
    assert answer.header == image.header  # to the nanosecond: clients match by it
    assert (answer.query_id, answer.query, answer.status) == ("q1", "Where is the door?", Msg.STATUS_OK)
    assert [step.action for step in plain(answer).steps] == [Action.CAUTION, Action.TURN, Action.MOVE]
    assert plain(answer).steps[1].bearing == pytest.approx(math.radians(35))
    assert answer.confidence == pytest.approx(0.9)
    assert 0 < answer.latency < 100
    assert 0 < answer.image_age < 100
    assert (answer.model, answer.adapter) == ("scripted", "")
    ros.until(lambda: wearer.spoken)
    assert wearer.spoken[0].data == answer.text


def test_plain_text_is_a_question_too(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    wearer.look()
    wearer.texts.publish(String(data="Where is the door?"))
    (answer,) = ros.until(lambda: list(wearer.heard))
    assert answer.status == Msg.STATUS_OK
    assert answer.query == "Where is the door?"
    assert answer.query_id


def test_text_that_is_no_text_does_not_stop_the_node(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    wearer.look()
    wearer.texts.publish(b"\x00\x01\x00\x00" + b"\x04\x00\x00\x00" + b"\xff\xfe\xfd\x00")  # CDR of a broken string
    assert wearer.ask_and_hear().status == Msg.STATUS_OK


def test_a_repeated_id_is_answered_once(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    wearer.look()
    for _ in range(3):
        wearer.ask("Where is the door?", "same")
    wearer.answer("same")
    wearer.ask_and_hear(query_id="last")
    assert len(wearer.answers("same")) == 1


def test_the_newest_image_is_looked_at(ros: Graph) -> None:
    seen: list[int] = []

    def answer(image: Image, query: str) -> str:
        seen.append(int(image.max()))
        return "Stop."

    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(answer)))
    for level in (100, 150, 200):
        image = wearer.look(np.minimum(room(), level))
    answer_message = wearer.ask_and_hear()
    assert seen[-1] == pytest.approx(200, abs=3)
    assert answer_message.header == image.header


def test_no_camera(ros: Graph) -> None:
    guide = guide_node(ros, image_timeout=0.2, deadline=10.0)
    wearer = Wearer(ros, guide)
    answer = wearer.ask_and_hear()
    assert answer.status == Msg.STATUS_NO_IMAGE
    assert "/image (1 publishers)" in answer.message
    assert math.isnan(answer.image_age)
    assert answer.header.stamp.sec == 0
    assert answer.latency < 10.0
    assert guide.guide is not None


@pytest.mark.parametrize(("age", "says"), [(20.0, "s old"), (-20.0, "in the future")])
def test_a_camera_that_stopped_or_has_another_clock(ros: Graph, age: float, says: str) -> None:
    guide = guide_node(ros, max_image_age=10.0, image_timeout=0.2)
    wearer = Wearer(ros, guide)
    wearer.look(stamp=guide.now() - age)
    answer = wearer.ask_and_hear(query_id="stale")
    assert answer.status == Msg.STATUS_STALE_IMAGE
    assert says in answer.message
    wearer.look()
    assert wearer.ask_and_hear(query_id="fresh").status == Msg.STATUS_OK


def test_a_question_waits_for_a_fresh_image(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    wearer.ask(query_id="early")
    ros.until(lambda: wearer.guide.desk.busy)
    image = wearer.look()
    answer = wearer.answer("early")
    assert answer.status == Msg.STATUS_OK
    assert answer.header == image.header


def test_a_camera_without_stamps_is_taken_as_it_arrives(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, max_image_age=20.0))
    wearer.look(stamp=0.0)
    answer = wearer.ask_and_hear()
    assert answer.status == Msg.STATUS_OK
    assert 0 <= answer.image_age < 20


@pytest.mark.parametrize(
    ("change", "says"),
    [({"encoding": "rgb7"}, "'rgb7' is not supported"), ({"step": 7}, "step 7"), ({"height": 999}, "data has")],
)
def test_an_image_that_cannot_be_is_named_and_the_next_one_is_used(
    ros: Graph, change: dict[str, Any], says: str
) -> None:
    wearer = Wearer(ros, guide_node(ros))
    message = wearer.message(room())
    for name, value in change.items():
        setattr(message, name, value)
    wearer.publish(message)
    answer = wearer.ask_and_hear(query_id="bad")
    assert answer.status == Msg.STATUS_POOR_IMAGE
    assert says in answer.message
    assert says in wearer.guide.snapshot().image_problem
    wearer.look()
    assert wearer.ask_and_hear(query_id="good").status == Msg.STATUS_OK
    assert wearer.guide.snapshot().image_problem == ""


def test_a_covered_camera(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    wearer.look(np.zeros((48, 64, 3), np.uint8))
    assert wearer.ask_and_hear().status == Msg.STATUS_POOR_IMAGE


def test_compressed_images(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, image_transport="compressed"))
    image = wearer.look()
    answer = wearer.ask_and_hear(query_id="good")
    assert answer.status == Msg.STATUS_OK
    assert answer.header == image.header
    image.data = image.data[: len(image.data) // 2]
    wearer.publish(image)
    answer = wearer.ask_and_hear(query_id="damaged")
    assert answer.status == Msg.STATUS_POOR_IMAGE
    assert "damaged" in answer.message


@pytest.mark.parametrize("text", ["", "   ", "x" * 100_000, "where\x01is it", "?"])
def test_what_is_no_question_is_refused_and_disturbs_nobody(ros: Graph, brake: Brake, text: str) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake)))
    brake.at = 5
    wearer.look()
    wearer.ask(query_id="good")
    assert brake.reached.wait(60)
    bad = wearer.ask_and_hear(text, "bad")
    assert bad.status == Msg.STATUS_INVALID_QUERY
    assert bad.message
    assert len(bad.query) <= 1000
    brake.release()
    assert wearer.answer("good").status == Msg.STATUS_OK


def test_before_activation_questions_are_told_so(ros: Graph) -> None:
    guide = guide_node(ros, autostart=False)
    wearer = Wearer(ros, guide, active=False)
    wearer.look()
    assert wearer.ask_and_hear(query_id="unconfigured").status == Msg.STATUS_NOT_READY
    assert wearer.transition("configure")
    assert wearer.ask_and_hear(query_id="inactive").status == Msg.STATUS_NOT_READY
    assert wearer.transition("activate")
    assert wearer.ask_and_hear(query_id="active").status == Msg.STATUS_OK
    assert wearer.transition("deactivate")
    assert wearer.ask_and_hear(query_id="deactivated").status == Msg.STATUS_NOT_READY
    assert wearer.transition("cleanup")
    assert wearer.ask_and_hear(query_id="unconfigured again").status == Msg.STATUS_NOT_READY
    assert guide.guide is None


def test_busy_reject(ros: Graph, brake: Brake) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake), busy_policy="reject"))
    brake.at = 5
    wearer.look()
    wearer.ask(query_id="first")
    assert brake.reached.wait(60)
    busy = wearer.ask_and_hear(query_id="second")
    assert busy.status == Msg.STATUS_BUSY
    assert "first" in busy.message
    assert wearer.answers("first") == []
    brake.release()
    assert wearer.answer("first").status == Msg.STATUS_OK


def test_preempt_cancels_the_older_at_its_next_token(ros: Graph, brake: Brake) -> None:
    engine = ScriptedEngine(GOOD, on_token=brake)
    wearer = Wearer(ros, guide_node(ros, engine, busy_policy="preempt"))
    brake.at = 5
    wearer.look()
    wearer.ask(query_id="old")
    assert brake.reached.wait(60)
    wearer.ask(query_id="new")
    canceled = wearer.answer("old")  # at once, while the model still writes
    assert canceled.status == Msg.STATUS_CANCELED
    assert "superseded by question new" in canceled.message
    assert canceled.text == ""  # who asks anew need not hear that the old question is gone
    begun = brake.tokens
    brake.at = -1
    brake.release()
    assert wearer.answer("new").status == Msg.STATUS_OK
    assert brake.tokens == begun + len(GOOD.split())  # the old one wrote no further token
    assert len(wearer.answers("old")) == 1


def test_urgent_supersedes_although_the_policy_is_reject(ros: Graph, brake: Brake) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake), busy_policy="reject"))
    brake.at = 5
    wearer.look()
    wearer.ask(query_id="old")
    assert brake.reached.wait(60)
    wearer.ask("Help!", "urgent", Query.PRIORITY_URGENT)
    assert wearer.answer("old").status == Msg.STATUS_CANCELED
    brake.at = -1
    brake.release()
    urgent = wearer.answer("urgent")
    assert urgent.status == Msg.STATUS_OK
    assert urgent.priority == Query.PRIORITY_URGENT


def test_everything_else_is_answered_while_the_model_is_busy(ros: Graph, brake: Brake) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake, adapters=("guide",))))
    brake.at = 5
    wearer.look()
    wearer.ask(query_id="slow")
    assert brake.reached.wait(60)
    names = GetParameters.Request(names=["bearings"])
    assert ros.call(wearer.node, GetParameters, "nav_vlm/get_parameters", names).values[0].string_value == "degrees"
    clock = SetParameters.Request(parameters=[Parameter("bearings", value="clock").to_parameter_msg()])
    assert ros.call(wearer.node, SetParameters, "nav_vlm/set_parameters", clock).results[0].successful
    assert ros.call(wearer.node, ListAdapters, "list_adapters", ListAdapters.Request()).adapters == ["guide"]
    assert not ros.call(wearer.node, Trigger, "repeat", Trigger.Request()).success
    assert wearer.answers("slow") == []
    brake.release()
    assert "Turn left 35 degrees" in wearer.answer("slow").text  # the style it was asked in
    assert "o'clock" in wearer.ask_and_hear(query_id="next").text


def test_any_exception_of_the_engine_is_an_error_and_the_next_question_is_answered(ros: Graph) -> None:
    failing = [True]

    def fail(index: int) -> None:
        if failing[0] and index == 3:
            raise RuntimeError("CUDA error: an illegal memory access")

    engine = ScriptedEngine(GOOD, on_token=fail)
    wearer = Wearer(ros, guide_node(ros, engine))
    wearer.look()
    answer = wearer.ask_and_hear(query_id="fails")
    assert answer.status == Msg.STATUS_ERROR
    assert "illegal memory access" in answer.message
    assert answer.text.endswith(".")
    assert "CUDA" not in answer.text
    failing[0] = False
    assert wearer.ask_and_hear(query_id="works").status == Msg.STATUS_OK
    assert wearer.guide.snapshot().counts[Status.ERROR] == 1


def test_a_model_that_hangs_is_told_by_the_deadline(ros: Graph, brake: Brake) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake), deadline=1.0))
    brake.at = 5
    wearer.look()
    answer = wearer.ask_and_hear(query_id="hangs")
    assert answer.status == Msg.STATUS_ERROR
    assert "deadline" in answer.message.lower()
    brake.at = -1
    brake.release()
    wearer.look()
    wearer.guide.set_parameters([Parameter("deadline", value=100.0)])
    assert wearer.ask_and_hear(query_id="works").status == Msg.STATUS_OK
    assert len(wearer.answers("hangs")) == 1


def test_enable(ros: Graph, brake: Brake) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, on_token=brake)))
    brake.at = 5
    wearer.look()
    wearer.ask(query_id="running")
    assert brake.reached.wait(60)
    assert ros.call(wearer.node, SetBool, "enable", SetBool.Request(data=False)).success
    assert wearer.answer("running").status == Msg.STATUS_DISABLED
    assert wearer.ask_and_hear(query_id="off").status == Msg.STATUS_DISABLED
    brake.at = -1
    brake.release()
    response = ros.call(wearer.node, SetBool, "enable", SetBool.Request(data=True))
    assert "on" in response.message
    assert wearer.ask_and_hear(query_id="on").status == Msg.STATUS_OK
    assert len(wearer.answers("running")) == 1


def test_disabled_stays_disabled_through_a_restart_of_the_lifecycle(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    wearer.look()
    ros.call(wearer.node, SetBool, "enable", SetBool.Request(data=False))
    assert wearer.transition("deactivate")
    ros.call(wearer.node, SetBool, "enable", SetBool.Request(data=False))
    assert wearer.transition("activate")
    assert wearer.ask_and_hear(query_id="off").status == Msg.STATUS_DISABLED


def test_repeat(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros))
    response = ros.call(wearer.node, Trigger, "repeat", Trigger.Request())
    assert (response.success, wearer.heard) == (False, [])
    assert response.message
    wearer.look()
    answer = wearer.ask_and_hear(query_id="q")
    response = ros.call(wearer.node, Trigger, "repeat", Trigger.Request())
    assert response.success
    assert response.message == answer.text
    again = ros.until(lambda: wearer.heard[1:])[0]
    assert again.text == answer.text
    assert again.query_id not in ("q", "")
    assert again.message == "repeat of question q"
    assert not again.steps
    assert again.image_age > answer.image_age
    assert len(wearer.answers("q")) == 1


def repeat(wearer: Wearer) -> tuple[Trigger.Response, Msg | None]:
    """What `repeat` answers, and what the wearer hears of it."""
    heard = len(wearer.heard)
    response = wearer.ros.call(wearer.node, Trigger, "repeat", Trigger.Request())
    return response, wearer.ros.until(lambda: wearer.heard[heard:])[0] if response.success else None


def test_repeat_says_what_was_said_last_and_no_direction_from_before_it(ros: Graph) -> None:
    answers = {"Where is the door?": GOOD, "And now?": "Turn left 35 degrees. Turn right 35 degrees."}
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(answers), language="de"))
    wearer.look()
    wearer.ask_and_hear(query_id="sent")
    unsure = wearer.ask_and_hear("And now?", "unsure")
    assert unsure.status == Msg.STATUS_UNSURE
    response, again = repeat(wearer)
    assert again is not None
    assert (again.status, again.text) == (unsure.status, unsure.text)
    assert response.message == again.text
    refused = wearer.ask_and_hear("", "empty")
    response, again = repeat(wearer)
    assert again is not None
    assert (response.message, again.text, again.message) == (refused.text, refused.text, "repeat of question empty")


@pytest.mark.parametrize("off", ["enable", "deactivate"])
def test_who_is_switched_off_repeats_no_direction_and_none_when_it_is_on_again(ros: Graph, off: str) -> None:
    wearer = Wearer(ros, guide_node(ros))
    wearer.look()
    sent = wearer.ask_and_hear(query_id="sent")

    def switch(on: bool) -> None:
        if off == "enable":
            ros.call(wearer.node, SetBool, "enable", SetBool.Request(data=on))
        else:
            assert wearer.transition("activate" if on else "deactivate")

    switch(False)
    _, again = repeat(wearer)
    assert again is not None
    assert again.status == (Msg.STATUS_DISABLED if off == "enable" else Msg.STATUS_NOT_READY)
    assert again.text != sent.text
    assert wearer.ask_and_hear(query_id="refused").text == again.text
    switch(True)
    _, again = repeat(wearer)
    assert again is not None
    assert (again.status, again.text) == (Msg.STATUS_STALE_IMAGE, "That was a while ago. Please ask again.")


def test_adapters(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, adapters=("guide", "terse"))))
    wearer.look()
    listed = ros.call(wearer.node, ListAdapters, "list_adapters", ListAdapters.Request())
    assert (listed.success, listed.model, listed.adapter, listed.adapters) == (True, "scripted", "", ["guide", "terse"])
    done = ros.call(wearer.node, SetAdapter, "set_adapter", SetAdapter.Request(adapter="terse"))
    assert (done.success, done.adapter) == (True, "terse")
    assert wearer.ask_and_hear().adapter == "terse"
    unknown = ros.call(wearer.node, SetAdapter, "set_adapter", SetAdapter.Request(adapter="nope"))
    assert (unknown.success, unknown.adapter) == (False, "terse")
    assert "guide, terse" in unknown.message
    assert ros.call(wearer.node, SetAdapter, "set_adapter", SetAdapter.Request(adapter="")).adapter == ""


def test_adapters_without_a_model(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, autostart=False), active=False)
    assert not ros.call(wearer.node, ListAdapters, "list_adapters", ListAdapters.Request()).success
    response = ros.call(wearer.node, SetAdapter, "set_adapter", SetAdapter.Request(adapter="guide"))
    assert not response.success
    assert "configure" in response.message


def test_names_are_relative(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, namespace="left"), namespace="left")
    wearer.look()
    assert wearer.ask_and_hear().status == Msg.STATUS_OK
    assert wearer.guide.get_fully_qualified_name() == "/left/nav_vlm"
    topics = {name for name, _ in wearer.guide.get_publisher_names_and_types_by_node("nav_vlm", "/left")}
    assert {"/left/instruction", "/left/instruction_text", "/diagnostics"} <= topics


def test_diagnostics(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, diagnostics_period=0.1))
    arrays: list[DiagnosticArray] = ros.collect(wearer.node, DiagnosticArray, "/diagnostics")
    wearer.look()
    wearer.ask_and_hear()

    def told() -> bool:
        if not arrays:
            return False
        messages = {status.name: status.message for status in arrays[-1].status}
        counts = {pair.key: pair.value for status in arrays[-1].status for pair in status.values}
        ready = messages["nav_vlm: model"] == "ready" and "images arrive" in messages["nav_vlm: image"]
        return ready and counts["ok"] == "1"

    ros.until(told)
    assert arrays[-1].header.stamp.sec > 0


VIEW = View(width=180, height=90, hfov=math.radians(120), vfov=math.radians(60), elevation=0.0)


def post_engine(found: list[float]) -> ScriptedEngine:
    """Notes the bearing of a red post in what the model is shown."""

    def answer(image: Image, query: str) -> str:
        reds = np.flatnonzero((image[image.shape[0] // 2].astype(int) @ [1, -1, -1]) > 100)
        if len(reds):
            found.append(math.degrees(VIEW.bearings()[reds].mean()))
        return "Stop."

    return ScriptedEngine(answer, view=VIEW)


def post(camera: Camera, bearing_deg: float) -> Image:
    image = room(camera.height, camera.width)
    column = round(camera.cx - camera.fx * math.tan(math.radians(bearing_deg)))
    image[:, column - 4 : column + 4] = (255, 0, 0)
    return image


def test_camera_info_and_rig_parameters_decide_what_a_column_means(ros: Graph) -> None:
    found: list[float] = []
    guide = guide_node(ros, post_engine(found), camera_hfov=math.radians(110))
    wearer = Wearer(ros, guide)
    for number, hfov in enumerate((110, 60, 90)):
        camera = Camera.from_fov(640, 360, math.radians(hfov))
        if hfov != 110:  # the first is known by the parameter
            wearer.infos.publish(camera_to_ros(camera))

            def heard(focal: float = camera.fx) -> bool:
                return bool(getattr(guide.feed.camera_info, "k", [0])[0] == focal)

            ros.until(heard)
        wearer.look(post(camera, 20))
        wearer.ask_and_hear(query_id=f"q{number}")
        assert found[-1] == pytest.approx(20, abs=1)
    guide.set_parameters([Parameter("camera_yaw", value=math.radians(-15))])
    wearer.ask_and_hear(query_id="yaw")
    assert found[-1] == pytest.approx(5, abs=1)
    guide.set_parameters([Parameter("camera_yaw", value=0.0), Parameter("mirrored", value=True)])
    wearer.ask_and_hear(query_id="mirrored")
    assert found[-1] == pytest.approx(-20, abs=1)


def test_a_camera_info_that_does_not_fit_is_named(ros: Graph) -> None:
    guide = guide_node(ros)
    wearer = Wearer(ros, guide)
    camera = Camera.from_fov(640, 640, 1.2)
    wearer.infos.publish(camera_to_ros(camera))
    ros.until(lambda: guide.feed.camera_info is not None)
    wearer.look()
    answer = wearer.ask_and_hear()
    assert answer.status == Msg.STATUS_POOR_IMAGE
    assert "camera_info is for 640x640 and the image has 320x240" in answer.message


def test_many_questions_race_and_each_has_one_instruction(ros: Graph) -> None:
    wearer = Wearer(ros, guide_node(ros, ScriptedEngine(GOOD, delay=0.001)))
    wearer.look()
    ids = [f"q{number}" for number in range(30)]
    for number, query_id in enumerate(ids):
        wearer.ask(query_id=query_id, priority=number % 5 == 0)
        if number % 8 == 7:  # not more at once than the queue of the topic holds
            wearer.answer(query_id)
    ros.until(lambda: {message.query_id for message in list(wearer.heard)} == set(ids))
    ros.call(wearer.node, Trigger, "repeat", Trigger.Request())
    counts = Counter(message.query_id for message in wearer.heard if not message.message.startswith("repeat"))
    assert counts == dict.fromkeys(ids, 1)
    assert {message.status for message in wearer.heard} <= {Msg.STATUS_OK, Msg.STATUS_CANCELED, Msg.STATUS_BUSY}
