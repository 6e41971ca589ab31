"""A whole replay: a bag and a model in, report.json, answers.jsonl and report.html out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.errors import UserError
from nav_vlm_node.paths import embedded_model
from nav_vlm_node.replay.answering import Frames, Item, Ledger, answer_all, identity
from nav_vlm_node.replay.bags import Bag
from nav_vlm_node.replay.contents import NANOSECONDS, Contents, choose_image_topic, read_contents
from nav_vlm_node.replay.figures import Run, deterministic, figures, rows_of
from nav_vlm_node.replay.looks import look
from nav_vlm_node.replay.messages import Decoder
from nav_vlm_node.replay.page import write_page
from nav_vlm_node.replay.questions import Question, from_bag, from_yaml
from nav_vlm_node.ros import bringup
from nav_vlm_node.ros.parameter_table import BY_NAME, Value
from nav_vlm_node.ros.parameters import defaults, guide_options
from nav_vlm_node.ros.rigs import Topics
from nav_vlm_node.vlm.protocol import Engine

PACKAGES = (*results.PACKAGES, "rosbags", "rosbags-image")


@dataclass(frozen=True)
class Chosen:
    """A model and its adapter; "" for the embedded model, and for the base alone."""

    model: str = ""
    adapter: str = "default"

    @property
    def directory(self) -> str:
        """Where it is."""
        return self.model or str(embedded_model())

    @property
    def name(self) -> str:
        """For people."""
        return self.tail(1, 1)

    @property
    def key(self) -> str:
        """Another one for every other model or adapter, also where directories are named alike."""
        return json.dumps([str(Path(self.directory).absolute()), self.adapter])

    def tail(self, of_model: int, of_adapter: int) -> str:
        """For people: so many last parts of the model's directory, and of the adapter's where it is one."""
        model, adapter = Path(self.directory).absolute().parts, Path(self.adapter).parts
        return f"{Path(*model[-of_model:])}, {Path(*adapter[-of_adapter:]) if adapter else 'base'}"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What is asked for. given: launch arguments of bringup (rig, params_file, image_topic, namespace, ...)."""

    bag: Path
    out: Path
    chosen: Chosen = Chosen()
    against: Chosen | None = None
    questions: Path | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    dtype: str = "auto"
    quiet: bool = False
    command: str = "nav-vlm replay"


def replay(wanted: Replay) -> dict[str, Any]:
    """Do it; returns what report.json holds. Raises UserError. Stopped on the way, it goes on when called again."""
    try:
        return _replay(wanted)
    except OSError as error:  # of the bag or of the report; UserError is none
        where = Path(str(error.filename2 or error.filename or wanted.out)).name
        raise UserError(f"{where}: {error.strerror or error}; give another folder, or make room") from error


def _replay(wanted: Replay) -> dict[str, Any]:
    plan = bringup.plan(wanted.given)
    values: dict[str, Value] = {**defaults(), **{k: v for k, v in plan.nodes[0].parameters.items() if k in BY_NAME}}
    with Bag(wanted.bag) as bag:
        given = bool(wanted.given.get("image_topic"))
        contents, decoder = _contents(bag, plan.nodes[0], given=given, quiet=wanted.quiet)
        questions = _questions(wanted, contents, bag)
        items = [Item(question, _look(contents, question, values)) for question in questions]
        report = results.record(wanted.command, packages=PACKAGES)
        _folder(wanted.out)
        ledger = Ledger(wanted.out / ".answers.jsonl", _key(wanted, values, bag, questions))
        frames = Frames(bag, decoder, contents)
        run = _run(wanted, wanted.chosen, items, frames, values, ledger)
        other = None if wanted.against is None else _run(wanted, wanted.against, items, frames, values, ledger)
        if other is not None and wanted.against is not None and run.name == other.name:
            run, other = _told_apart(run, wanted.chosen, other, wanted.against)
        rows = rows_of(items, run, other)
        report |= _about(wanted, bag, contents, run, other, [*plan.notes, *bag.notes, *decoder.notes, *contents.notes])
        report["parameters"] = values
        report |= figures(rows, contents)
        results.write(wanted.out / "report.json", report)
        lines = "".join(json.dumps(deterministic(each), allow_nan=False) + "\n" for each in report["answers"])
        _write(wanted.out / "answers.jsonl", lines)
        write_page(wanted.out / "report.html", report, rows, contents, frames, guide_options(values))
        ledger.remove()
    return report


def _contents(bag: Bag, node: bringup.NodePlan, *, given: bool, quiet: bool) -> tuple[Contents, Decoder]:
    remapped = dict(node.remappings)
    namespace = f"/{node.namespace}" if node.namespace else ""

    def full(own: str) -> str:
        name = remapped.get(own, own)
        return name if name.startswith("/") else f"{namespace}/{name}"

    wanted = Topics(image=full("image"), compressed=full("image/compressed"), camera_info=full("camera_info"))
    transport = str(node.parameters.get("image_transport", "raw"))
    topics = bag.topics
    image, note = choose_image_topic(topics, wanted, transport, given)
    info = wanted.camera_info
    if image is not None and image.name not in (wanted.image, wanted.jpeg):
        info = Topics.beside(image.name).camera_info
    needed = [each for each in topics if each == image or each.name == info or "nav_vlm_msgs" in each.msgtype]
    decoder = Decoder(needed)
    if image is not None and not decoder.knows(image.msgtype):
        image = None
    contents = read_contents(bag, decoder, image, info, namespace, quiet=quiet)
    if note:
        contents.notes.insert(0, note)
    return contents, decoder


def _questions(wanted: Replay, contents: Contents, bag: Bag) -> list[Question]:
    if wanted.questions is not None:
        return from_yaml(wanted.questions, contents)
    questions = from_bag(contents)
    if not questions:
        why = "; ".join([*bag.notes, *contents.notes])
        raise UserError(
            f"bag {wanted.bag} holds {len(contents.times)} images and no question{f' ({why})' if why else ''}; "
            "give questions with --questions FILE.yaml"
        )
    return questions


def _look(contents: Contents, question: Question, values: Mapping[str, Value]) -> Any:
    live = question.live
    return look(
        contents,
        question.time,
        max_age=float(values["max_image_age"]),
        timeout=float(values["image_timeout"]),
        stamp=0 if live is None else live.stamp,
        answered=0 if live is None else live.time,
    )


def _run(
    wanted: Replay, chosen: Chosen, items: list[Item], frames: Frames, values: Mapping[str, Value], ledger: Ledger
) -> Run:
    engine = load(chosen, wanted.device, wanted.dtype)
    try:
        options = guide_options(values)
        answers = answer_all(
            items, frames, engine, options, ledger, name=chosen.name, key=chosen.key, quiet=wanted.quiet
        )
        info = engine.info
        return Run(f"{info.model}, {info.adapter or 'base'}", answers, info.device, info.dtype)
    finally:
        engine.close()


def _told_apart(run: Run, chosen: Chosen, other: Run, against: Chosen) -> tuple[Run, Run]:
    """Two models of one name, as two trainings give it, under as much of their paths as tells which is which."""
    longest = max(
        len(Path(path).absolute().parts) for each in (chosen, against) for path in (each.directory, each.adapter)
    )
    for parts in range(1, longest + 1):
        shown = (1, parts) if chosen.directory == against.directory else (parts, 1)
        names = chosen.tail(*shown), against.tail(*shown)
        if names[0] != names[1]:
            return replace(run, name=names[0]), replace(other, name=names[1])
    return run, other


def load(chosen: Chosen, device: str, dtype: str) -> Engine:
    """The model in this process. Raises UserError."""
    from nav_vlm_node.vlm.load import load_engine  # imports torch: only once everything else is in order

    return load_engine(chosen.directory, chosen.adapter, device, dtype)


def _key(wanted: Replay, values: Mapping[str, Value], bag: Bag, questions: list[Question]) -> dict[str, Any]:
    chosen = [each for each in (wanted.chosen, wanted.against) if each is not None]
    folders = [Path(path) for each in chosen for path in (each.directory, each.adapter) if path and Path(path).exists()]
    return {
        "commit": results.commit(),
        "bag": [identity(file) for file in bag.files()],
        "models": [(each.directory, each.adapter, wanted.device, wanted.dtype) for each in chosen],
        "files": [identity(folder) for folder in folders],
        "parameters": dict(values),
        "given": dict(wanted.given),
        "questions": [(each.time, each.text, each.query_id) for each in questions],
    }


def _about(
    wanted: Replay, bag: Bag, contents: Contents, run: Run, other: Run | None, notes: list[str]
) -> dict[str, Any]:
    topic, count = contents.image_topic, len(contents.times)
    seconds = (contents.times[-1] - contents.times[0]) / NANOSECONDS if count else 0.0
    about: dict[str, Any] = {
        "bag": bag.name,
        "start_s": contents.start / NANOSECONDS,
        "duration_s": (contents.stop - contents.start) / NANOSECONDS,
        "topics": {each.name: {"type": each.msgtype, "messages": each.count} for each in bag.topics},
        "images": {
            "topic": topic.name if topic else None,
            "count": count,
            "rate_hz": (count - 1) / seconds if seconds > 0 else None,
        },
        "notes": notes,
        "model": run.name,
        "device": run.device,
        "dtype": run.dtype,
    }
    return about if other is None else about | {"against_model": other.name}


def _folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror or error}; give another folder") from error


def _write(path: Path, text: str) -> None:
    """The file is there whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
