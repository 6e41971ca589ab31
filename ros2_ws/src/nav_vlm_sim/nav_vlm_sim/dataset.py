"""Questions about pictures, with their answers and the truth: a data set on disk.

    questions.jsonl             one line per question, in the order of the scenes
    images/BLOCK/SCENE-VIEW.png what the simulated camera delivered; "camera" and "rig" of a line say how it is worn,
                                "earlier" names the pictures before it, SCENE-VIEW-1.png the last of them, on a walk
    card.json                   what it is and what is in it; there only when everything else is

Blocks of scenes are drawn on all cores and appear only when they are whole. A run that was interrupted goes on where
it stopped when the same command is given again, and ends with the same bytes, whatever the number of processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Action
from nav_vlm_node.language import render_canonical
from nav_vlm_node.score import Truth
from nav_vlm_node.score_json import truth_to_json
from nav_vlm_node.view import View
from nav_vlm_sim import card, textures
from nav_vlm_sim.plan import EARLIER, Block, Plan, blocks_of, phrasings_of
from nav_vlm_sim.processes import start_worker
from nav_vlm_sim.questions import Kind, Question, Rng, ask, reworded
from nav_vlm_sim.records import Frame, earlier_pictures, rounded, rounded_step, take_frame
from nav_vlm_sim.scene import sample_scene
from nav_vlm_sim.truth import Observation
from nav_vlm_sim.world import World

VIEW = View()  # what "visible" refers to: the view of the models that are trained here
LINES, CARD = "questions.jsonl", "card.json"
PICTURE_BYTES = 30_000  # of a typical picture, to tell in time that a disk is too small
TRIES = 8  # draws per question wanted, before a picture is left with fewer


# ---- one picture -------------------------------------------------------------------------------


def questions_of(observation: Observation, rng: Rng, count: int, rounds: tuple[bool, ...]) -> list[Question]:
    """Up to `count` different questions about one picture; rounds: for each, whether held-out words are used.

    Every round asks the same things, so that what new words cost is not mixed with what other questions cost.
    """
    chosen: dict[tuple[Kind, str], Question] = {}
    stream = ask(observation, rng, new_words=rounds[0])
    for _ in range(TRIES * count):
        question = next(stream)
        chosen.setdefault((question.kind, question.target if question.kind is Kind.TARGET else ""), question)
        if len(chosen) == count:
            break
    first = list(chosen.values())
    return first + [reworded(q, observation, rng, new_words=new) for new in rounds[1:] for q in first]


def truth_of(question: Question, observation: Observation) -> Truth:
    """What `score.judge` holds an answer against; numbers as they are kept on disk."""
    target = observation.targets[question.target] if question.kind is Kind.TARGET else None
    if target is not None and not target.visible:
        target = None
    # Of the way that the guide sends the wearer, be it only to an exit sign.
    goal = next((step.landmark for step in question.guide if step.action is Action.MOVE), "")
    hazards = observation.targets[goal].hazards if goal else ()
    if question.kind is Kind.HAZARD and observation.ahead:
        hazards = (observation.ahead,)
    return Truth(
        kind=question.kind.value,
        target=question.target,
        visible=target is not None,
        bearing=rounded(target.bearing) if target else math.nan,
        distance=rounded(target.distance) if target else math.nan,
        hazards=tuple(map(rounded_step, hazards)),
        steps=tuple(map(rounded_step, question.guide)),
    )


def line_of(frame: Frame, question: Question, split: str, image: str, earlier: Sequence[str] = ()) -> dict[str, Any]:
    """The question's line in questions.jsonl. earlier: pictures before it, the oldest first."""
    truth = truth_of(question, frame.observation)
    return {
        "image": image,
        **({"earlier": list(earlier)} if earlier else {}),
        "scene": frame.scene.seed,
        "view": frame.index,
        "split": split,
        "room": frame.scene.room,
        "texture": frame.scene.family,
        "question": question.text,
        "phrasing": "heldout" if question.heldout_phrasing else "train",
        "text": render_canonical(truth.steps),
        **truth_to_json(truth),
        "camera": asdict(frame.camera),
        "rig": asdict(frame.rig),
    }


# ---- one block ---------------------------------------------------------------------------------


def _images_of(out: Path, block: Block) -> Path:
    return out / "images" / f"{block.index:05d}"


def _lines_of(out: Path, block: Block) -> Path:
    return out / ".parts" / f"{block.index:05d}.jsonl"


def _draw_block(out: Path, plan: Plan, block: Block) -> Block:
    """Draws a block: its folder of pictures, then its lines. Both appear whole or not at all. Raises OSError."""
    images, lines = _images_of(out, block), _lines_of(out, block)
    draft = images.with_name(f".{images.name}")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(images, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        written = []
        with World(block.world, block.family) as world:
            for seed in block.seeds():
                scene = sample_scene(seed, room=block.room, family=block.family, walking=plan.walking)
                world.load(scene)
                for index in range(plan.views):
                    frame = take_frame(world, scene, index, VIEW)
                    name = f"{seed}-{index}.png"
                    pictures = {name: frame.raw}
                    if plan.walking:
                        before = enumerate(earlier_pictures(world, frame, EARLIER))
                        pictures |= {f"{seed}-{index}-{EARLIER - k}.png": picture for k, picture in before}
                    for file, picture in pictures.items():
                        (draft / file).write_bytes(textures.png(picture))
                    paths = [f"images/{images.name}/{file}" for file in pictures]
                    rng = np.random.default_rng([seed, 404, index])
                    rounds = phrasings_of(plan, block.split)
                    written += [
                        json.dumps(line_of(frame, question, block.split, paths[0], paths[1:]))
                        for question in questions_of(frame.observation, rng, plan.questions, rounds)
                    ]
        draft.rename(images)
        write_whole(lines, "".join(line + "\n" for line in written))
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return block


def write_whole(path: Path, text: str) -> None:
    """Writes a file so that it is there complete or not at all. Raises OSError."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


# ---- all of it ---------------------------------------------------------------------------------


def make(plan: Plan, out: Path, *, workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Makes the data set, or what of it is missing; returns its card. workers: processes, None for one per core.

    Raises UserError for a folder that holds something else or cannot be written to, for a full disk, and where
    nothing can be drawn.
    """
    if workers is not None and not 1 <= workers <= 1024:
        raise UserError(f"--workers {workers}: give 1 to 1024")
    try:
        out.mkdir(parents=True, exist_ok=True)
        if (out / CARD).is_file():
            return _finished(out, plan)
        with _claimed(out, plan):
            _draw(out, plan, workers or len(os.sched_getaffinity(0)), quiet)
            return _finish(out, plan)
    except OSError as error:
        raise UserError(
            f"cannot write the data set to {out}: {error.strerror or error}; put that right and give the same command "
            "again: it goes on where it stopped"
        ) from error


def _finished(out: Path, plan: Plan) -> dict[str, Any]:
    """The card of a data set that is complete. Raises UserError if it is another one."""
    try:
        found = json.loads((out / CARD).read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{out / CARD} is not JSON; give another --out") from None
    _compare(out, found.get("plan") if isinstance(found, dict) else None, plan)
    shutil.rmtree(out / ".parts", ignore_errors=True)
    return dict(found)


def _compare(out: Path, found: object, plan: Plan) -> None:
    wanted = _identity(plan)
    if found == wanted:
        return
    if not isinstance(found, dict):
        raise UserError(f"{out} holds a data set that this program did not make; give another --out")
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    what = ", ".join(f"{name} {json.dumps(found.get(name))} and not {json.dumps(wanted.get(name))}" for name in names)
    raise UserError(f"{out} holds another data set ({what}); give another --out, or delete it first")


def _identity(plan: Plan) -> dict[str, Any]:
    """What must be equal for two runs to make the same bytes."""
    return {**plan.to_json(), "versions": card.versions()}


@contextlib.contextmanager
def _claimed(out: Path, plan: Plan) -> Iterator[None]:
    """Makes `out` this plan's folder, for one run at a time. Raises UserError where it is not to be had."""
    parts = out / ".parts"
    if not parts.is_dir() and any(out.iterdir()):
        raise UserError(f"{out} is not empty and holds no data set; give another --out")
    parts.mkdir(exist_ok=True)
    with (parts / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another run is writing to {out}; wait for it, or give another --out") from None
        identity = parts / "plan.json"
        if identity.is_file():
            _compare(out, json.loads(identity.read_text(encoding="utf-8")), plan)
        else:
            write_whole(identity, json.dumps(_identity(plan), indent=1))
        yield


def _draw(out: Path, plan: Plan, workers: int, quiet: bool) -> None:
    """Draws the blocks that are missing."""
    blocks = blocks_of(plan)
    missing = [block for block in blocks if not _lines_of(out, block).is_file()]
    needed = PICTURE_BYTES * plan.views * (1 + EARLIER * plan.walking) * sum(block.count for block in missing)
    free = shutil.disk_usage(out).free
    if needed > free:
        raise UserError(f"{out} has {free / 1e6:.0f} MB free and the data set needs {needed / 1e6:.0f} MB; free some")
    total = plan.scenes * plan.views
    at = total - plan.views * sum(block.count for block in missing)
    often = 0.2 if sys.stderr.isatty() else 10.0  # seconds between two lines of a log
    with tqdm(total=total, initial=at, unit="picture", mininterval=often, disable=quiet, desc=str(out)) as bar:
        for block in _in_processes(out, plan, missing, workers):
            bar.update(block.count * plan.views)


def _in_processes(out: Path, plan: Plan, blocks: list[Block], workers: int) -> Iterator[Block]:
    """Draws the blocks; yields each when it is on disk, in any order."""
    os.environ.setdefault("LP_NUM_THREADS", "1")  # one software-rendering thread per process
    workers = min(workers, len(blocks))
    if workers <= 1:
        yield from (_draw_block(out, plan, block) for block in blocks)
        return
    context = multiprocessing.get_context("spawn")  # forked processes would share one graphics context
    with ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker) as pool:
        futures: list[Future[Block]] = [pool.submit(_draw_block, out, plan, block) for block in blocks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise UserError(
                "a drawing process died (out of memory?); give the same command again, with fewer --workers: "
                "it goes on where it stopped"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _finish(out: Path, plan: Plan) -> dict[str, Any]:
    """Joins the blocks' lines, checks them, writes the card."""
    blocks = blocks_of(plan)
    write_whole(out / LINES, "".join(_lines_of(out, block).read_text(encoding="utf-8") for block in blocks))
    made = card.describe(out, read_lines(out), _identity(plan), plan.command(), VIEW)
    write_whole(out / CARD, json.dumps(made, indent=1) + "\n")
    shutil.rmtree(out / ".parts", ignore_errors=True)
    return made


def read_lines(out: Path) -> list[dict[str, Any]]:
    """All lines of a data set."""
    with (out / LINES).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
