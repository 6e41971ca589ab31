"""`nav-vlm ask`, the topic and the action give the same answer to the same question about the same picture."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rclpy.action.client import ActionClient

from nav_vlm_msgs.action import Guide
from nav_vlm_msgs.msg import Query
from nav_vlm_node.cli import main
from nav_vlm_node.cli.ask import read_image, to_json
from nav_vlm_node.frames import Frame
from nav_vlm_node.guide import Guide as Pipeline
from nav_vlm_node.ros.parameters import guide_options
from nav_vlm_node.vlm.load import load_engine
from tests.conftest import Graph
from tests.pictures import room
from tests.ros_rig import Wearer, guide_node, plain
from tests.tiny_models import make_tiny_blip2

QUESTIONS = ("Where is the door?", "How do I get to the exit?", "Is anything in my way?", "What is around me?")


def comparable(found: dict[str, Any]) -> dict[str, Any]:
    """What must agree: not the times. A float32 of a message is compared as such."""
    kept = {name: found[name] for name in ("status", "text", "steps", "model", "adapter", "message")}
    return {**kept, "confidence": float(np.float32(found["confidence"]))}


@pytest.mark.slow
def test_fifty_pictures(ros: Graph, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make_tiny_blip2(tmp_path / "tiny", with_adapter=True)
    # A random model doubts everything: without a threshold its words are compared, not the refusals.
    wearer = Wearer(ros, guide_node(ros, lambda: load_engine(model), min_confidence=0.0))
    action = ActionClient(wearer.node, Guide, "guide")
    ros.until(action.server_is_ready)
    pipeline = Pipeline(load_engine(model), guide_options({"min_confidence": 0.0}))
    rng = np.random.default_rng(0)
    answers = set()
    for number in range(50):
        picture = np.roll(room(), int(rng.integers(320)), axis=1)
        picture = np.clip(picture * rng.uniform(0.6, 1.3, 3), 0, 255).astype(np.uint8)
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), picture[..., ::-1])
        query = QUESTIONS[number % len(QUESTIONS)]
        asked = comparable(to_json(pipeline.answer(Frame(read_image(path)), query)))
        if number % 25 == 0:  # the command itself, which loads the model anew
            arguments = [
                "--image",
                str(path),
                "--query",
                query,
                "--model",
                str(model),
                "--min-confidence",
                "0",
                "--json",
            ]
            assert main(["ask", *arguments]) == 0
            assert comparable(json.loads(capsys.readouterr().out)) == asked
        wearer.look(picture)
        by_topic = plain(wearer.ask_and_hear(query, f"topic {number}"))
        assert comparable(to_json(by_topic)) == asked
        wanted = Guide.Goal(query=Query(text=query))
        goal = ros.asked(wearer.node, functools.partial(action.send_goal_async, wanted))
        by_action = plain(ros.asked(wearer.node, goal.get_result_async).result.instruction)
        assert comparable(to_json(by_action)) == asked
        answers.add(asked["message"])
    assert len(answers) > 5  # it was not one answer to everything
