"""The demo from beginning to end: start everything, ask, judge, stop everything, write the pictures and the page."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import Rig
from nav_vlm_node.vlm.card import read_model_card
from nav_vlm_sim.camera import SimulatedCamera
from nav_vlm_sim.demo import pictures, shapes
from nav_vlm_sim.demo.cases import Case, check, choose, first_scene
from nav_vlm_sim.demo.records import Answered, By, Setting, is_picture_name, summary_of
from nav_vlm_sim.demo.report import report
from nav_vlm_sim.demo.talk import Talk
from nav_vlm_sim.demo.verdict import Mark, verdict_of

if TYPE_CHECKING:
    from nav_vlm_sim.ros.demo import System

WIDTH, HEIGHT, HFOV = 640, 480, math.pi / 2  # of the camera; radians
RIG = Rig(camera_pitch=math.radians(10), camera_height=1.4)
EVERY_TOPIC = 4  # each fourth question goes by topic, the others by action
REPORT = "report.html"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `nav-vlm demo` was asked for. domain: None for a ROS 2 domain that nobody uses."""

    model: Path
    adapter: str
    device: str
    questions: int
    seed: int
    out: Path
    as_json: bool
    domain: int | None
    command: str


def run(options: Options) -> int:
    """The exit status: 0 when every question was answered, 1 when the system failed. Raises UserError."""
    from nav_vlm_sim.ros.own_processes import SystemFailure

    talk = Talk(sys.stderr if options.as_json else sys.stdout)
    view = read_model_card(options.model).view
    check(options.seed, options.questions)
    _claim(options.out)
    first = first_scene(options.seed)
    try:
        with _ended_by_signals(), SimulatedCamera(WIDTH, HEIGHT, HFOV, rig=RIG, view=view) as camera:
            frame = camera.frame(first)  # where nothing can be drawn, that is said before anything is started
            with _system(options, first) as system:
                talk.say(f"Simulated camera, guide and client start on ROS 2 domain {system.domain}.")
                cases = choose(camera, options.seed, options.questions, frame)
                camera.close()
                answered, setting = _converse(system, cases, options, talk)
    except SystemFailure as failure:
        print(f"nav-vlm demo: {failure}", file=sys.stderr)
        return 1
    talk.say()
    talk.say(str(summary_of(answered)))
    write(answered, setting, options.out)
    talk.say(f"Pictures and report: {options.out / REPORT}")
    if options.as_json:
        print(json.dumps(to_json(answered, setting, options.out), allow_nan=False))
    return 1 if any(one.verdict.mark is Mark.FAILED for one in answered) else 0


def _system(options: Options, scene: int) -> System:
    """The processes, started."""
    from nav_vlm_sim.ros.demo import System
    from nav_vlm_sim.ros.own_processes import Value

    worn: dict[str, Value] = {"camera_pitch": RIG.camera_pitch, "camera_height": RIG.camera_height}
    camera = {**worn, "seed": scene, "view": 0, "width": WIDTH, "height": HEIGHT, "hfov": HFOV}
    guide = {**worn, "model": str(options.model.resolve()), "adapter": options.adapter, "device": options.device}
    return System(camera, {**guide, "diagnostics_period": 0.2}, options.domain)


def _converse(system: System, cases: Sequence[Case], options: Options, talk: Talk) -> tuple[list[Answered], Setting]:
    """Wait until all is ready, then ask one question after the other."""
    from nav_vlm_sim.ros.own_processes import SystemFailure

    ready = system.wait_ready()
    adapter = f"adapter {ready.adapter}" if ready.adapter else "no adapter"
    talk.say(f"Ready after {ready.seconds:.1f} s: model {ready.model}, {adapter}, on {ready.device}.")
    answered = []
    for number, case in enumerate(cases, 1):
        by: By = "topic" if number % EVERY_TOPIC == 0 else "action"
        shown = system.show(case.frame.scene.seed, case.frame.index)
        talk.question(number, len(cases), case, by)
        reply = system.ask(case.question.text, by, talk.text)
        if reply.instruction is not None and reply.instruction.stamp < shown:  # false for NaN: it looked at nothing
            raise SystemFailure("the answer is about an older picture than the one that was shown")
        verdict = verdict_of(reply.instruction, case.truth)
        answered.append(Answered(number=number, case=case, by=by, reply=reply, verdict=verdict))
        talk.answer(answered[-1])
    ros = f"ROS 2 {os.environ.get('ROS_DISTRO', 'Jazzy')}"
    return answered, Setting(
        command=options.command, model=ready.model, adapter=ready.adapter, device=ready.device, seed=options.seed,
        domain=system.domain, ros=ros, start_seconds=ready.seconds,
    )  # fmt: skip


# ---- what is written ---------------------------------------------------------------------------


def write(answered: Sequence[Answered], setting: Setting, out: Path) -> None:
    """The pictures and the report; pictures of an earlier demo go, and nobody else's. Raises UserError."""
    try:
        with tempfile.TemporaryDirectory(prefix=".demo-", dir=out) as folder:
            draft = Path(folder)
            for one in answered:
                (draft / one.picture).write_bytes(pictures.png(picture(one)))
            (draft / REPORT).write_text(report(answered, setting), encoding="utf-8")
            for old in out.glob("[0-9][0-9]-*.png"):
                if is_picture_name(old.name):
                    old.unlink()
            for new in draft.iterdir():
                new.replace(out / new.name)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror or error}; give another --out") from None


def picture(one: Answered) -> pictures.Image:
    """The annotated page of one question, RGB."""
    frame, truth, instruction = one.case.frame, one.case.truth, one.reply.instruction
    marks = shapes.into_picture(frame, truth, instruction, pictures.PHOTO / frame.raw.shape[1])
    plan = shapes.from_above(frame, truth, instruction, pictures.SIDE)
    lines = [
        ("answer", one.spoken or "no answer came"),
        ("truth", one.truth_text),
        (one.verdict.mark.value.upper(), "; ".join(one.verdict.reasons)),
    ]
    return pictures.page(pictures.enlarged(frame.raw), marks, plan, one.case.question.text, lines)


def to_json(answered: Sequence[Answered], setting: Setting, out: Path) -> dict[str, object]:
    """The object that `--json` prints; SI units."""
    summary = summary_of(answered)
    return {
        "questions": [one.to_json() for one in answered],
        "verdicts": {mark.value: summary.marks[mark] for mark in Mark},
        "model": setting.model,
        "adapter": setting.adapter,
        "device": setting.device,
        "seed": setting.seed,
        "start_s": round(setting.start_seconds, 3),
        "report": str(out / REPORT),
    }


def _claim(out: Path) -> None:
    """Make sure now that something can be written there later. Raises UserError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".demo-", dir=out):
            pass
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror or error}; give a folder that can be written to") from None


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM, and the end of the terminal but for what nohup started, end the demo as Ctrl-C does: in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
