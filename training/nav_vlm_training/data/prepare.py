"""Other people's questions and pictures into the one form of a data set: the whole of `nav-vlm-train prepare`.

    questions.jsonl   a line per question, in the order of the source; "source" says where it comes from
    images/...        the pictures that the lines name, upright and RGB
    card.json         what it is, what is in it, the checks that it passed
    remarks.jsonl     what was odd or left out, and where; only where there is any

Everything that was read is in one of the two files of lines. The set appears under its name only when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError
from nav_vlm_training.data import card, splits
from nav_vlm_training.data.draft import Draft, draft_of, finished
from nav_vlm_training.data.lines import Line, Taken, images_of, lines_of, take_all
from nav_vlm_training.data.mit67 import Indoor67, open_indoor67
from nav_vlm_training.data.reading import Pair, Reading, Remark
from nav_vlm_training.data.samples import CARD, LINES
from nav_vlm_training.data.sources import SOURCES

REMARKS = "remarks.jsonl"
HFOV = 60.0  # degrees: of a camera that nobody knows


@dataclass(frozen=True, kw_only=True)
class PreparePlan:
    """What to prepare. source: of SOURCES. data: its files or folder. pictures: their folder, None for beside the data.

    shares: split -> share of the questions; {} to keep the source's splits, or the usual shares where it has none.
    lists: split by TrainImages.txt and TestImages.txt. by: of splits.UNITS. limit: questions, 0 for all. hfov: degrees,
    of cameras that are not known. link: pictures as second names of the same files. licence: "" for the source's.
    agreed: without questions on which annotators send different ways.
    """

    source: str
    data: tuple[Path, ...]
    out: Path
    pictures: Path | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    lists: bool = False
    by: str = splits.UNITS[0]
    seed: int = 0
    limit: int = 0
    hfov: float = HFOV
    link: bool = False
    licence: str = ""
    agreed: bool = False
    quiet: bool = False

    def identity(self) -> dict[str, Any]:
        """What must be equal for two runs to make the same data. Raises OSError."""
        return {
            "from": self.source, "data": [[path.name, _hash(path)] for path in self.data],
            "pictures": self.pictures.name if self.pictures else "", "splits": dict(self.shares), "lists": self.lists,
            "by": self.by, "seed": self.seed, "limit": self.limit, "hfov_deg": self.hfov, "licence": self.licence,
            "agreed": self.agreed,
        }  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """card: of the data set. remarks: in the order of the source; none of a set that was there already, which is as it
    was, whatever became of its source's pictures."""

    card: dict[str, Any]
    remarks: list[Remark]
    there_already: bool = False


def prepare(plan: PreparePlan, command: str) -> Prepared:
    """Makes the data set, or goes on making it. Raises UserError in one line; Ctrl-C and a full disk lose nothing."""
    _check(plan)
    try:
        identity = plan.identity()
        there = finished(plan.out, identity)
        if there is not None:
            return Prepared(there, [], there_already=True)
        reading = SOURCES[plan.source].read(plan.data, plan.agreed)
        pictures = open_indoor67(plan.pictures or _beside(plan.data[0]))
        pairs, missing = _found(reading, pictures)
        pairs = _limited(pairs, plan.limit, plan.seed)
        _room_for(plan, pictures, pairs)
        remarks = [*reading.remarks, *(pictures.remarks if plan.lists else ()), *missing]
        with draft_of(plan.out, identity, link=plan.link) as draft:
            names = dict.fromkeys(name for pair in pairs for name in images_of(pair))
            taken, broken = take_all(draft, pictures.images.folder, names, quiet=plan.quiet)
            found, odd = lines_of(pairs, taken, plan.hfov)
            remarks += [*broken, *odd]
            if not found:
                raise UserError(f"no picture can be used, the first remark is: {broken[0] if broken else odd[0]}")
            lines = _divided(plan, pictures, taken, found)
            about = _about(plan, reading, [pair for pair, _ in found], identity, command)
            return _finish(plan, draft, lines, about, remarks)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise UserError(
            f"cannot make {plan.out}: {where}{error.strerror or error}; put that right and give the same command "
            "again: it goes on where it stopped"
        ) from error


def _check(plan: PreparePlan) -> None:
    if plan.source not in SOURCES:
        raise UserError(f"--from {plan.source}: give one of {', '.join(SOURCES)}")
    if plan.by not in splits.UNITS:
        raise UserError(f"--by {plan.by}: give one of {', '.join(splits.UNITS)}")
    if plan.limit < 0 or not 1 <= plan.hfov <= 179:
        raise UserError("--limit must be at least 0 and --hfov 1 to 179 degrees")
    if plan.lists and plan.shares:
        raise UserError("--splits: give lists or shares, not both")
    if plan.shares:
        splits.check_shares(plan.shares)
    for path in plan.data:
        if not path.exists():
            raise UserError(f"--data {path} is not there; give the files or the folder of the questions")


def _beside(data: Path) -> Path:
    return data if data.is_dir() else data.parent


def _hash(path: Path) -> str:
    """Of what is read there: a file, or the files of a folder that hold questions."""
    files = [path] if path.is_file() else sorted([*path.glob("*.txt"), *path.glob(LINES)])
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def _found(reading: Reading, pictures: Indoor67) -> tuple[list[Pair], list[Remark]]:
    """The pairs whose pictures are there, with the names as they are on disk, and remarks on the others. UserError."""
    pairs: list[Pair] = []
    remarks: list[Remark] = []
    lost: dict[str, None] = {}
    for pair in reading.pairs:
        names = {image: pictures.find(image) for image in images_of(pair)}
        missing = [image for image, name in names.items() if name is None]
        if missing:
            lost.update(dict.fromkeys(missing))
            why = f"its picture {missing[0]} is not there"
            remarks.append(Remark(pair.where, why, raw=f"{pair.question} {pair.text}"))
        else:
            earlier = tuple(names[image] or "" for image in pair.earlier)
            pairs.append(replace(pair, image=names[pair.image] or "", earlier=earlier))
    if pairs:
        return pairs, remarks
    if remarks:
        raise UserError(
            f"none of the {len(lost)} pictures that the questions name is in {pictures.images.folder}, the first is "
            f"{next(iter(lost))}; give --pictures the folder that they are in"
        )
    first = f", the first remark is: {reading.remarks[0]}" if reading.remarks else ""
    raise UserError(f"no question could be read{first}; is it the right file, and the right --from?")


def _limited(pairs: list[Pair], limit: int, seed: int) -> list[Pair]:
    if not 0 < limit < len(pairs):
        return pairs
    return [pairs[i] for i in sorted(random.Random(seed).sample(range(len(pairs)), limit))]


def _room_for(plan: PreparePlan, pictures: Indoor67, pairs: Sequence[Pair]) -> None:
    """Raises UserError for a disk that is too small, before anything is written."""
    names = {name for pair in pairs for name in images_of(pair)}
    needed = 0 if plan.link else sum((pictures.images.folder / name).stat().st_size for name in names)
    above = next(path for path in plan.out.absolute().parents if path.is_dir())
    free = shutil.disk_usage(above).free
    if needed > free:
        raise UserError(f"{above} has {free / 1e6:.0f} MB free and the pictures need {needed / 1e6:.0f} MB; free some")


def _divided(plan: PreparePlan, pictures: Indoor67, taken: Taken, found: Sequence[tuple[Pair, Line]]) -> list[Line]:
    """The lines with their splits. Raises UserError where they cannot be divided, or are and leak."""
    shown = []
    for pair, line in found:
        facts = [taken[name][0] for name in images_of(pair)]
        shown.append(splits.Shown(line["scene"], card.images_of(line), tuple(one.pixels for one in facts)))
    rooms = [pair.room for pair, _ in found]
    group = splits.groups([splits.keys_of(one, room, plan.by) for one, room in zip(shown, rooms, strict=True)])
    if plan.lists:
        named = [pictures.split_of(pair.image) for pair, _ in found]
        divided = splits.by_lists(group, named)
    else:
        given = [] if plan.shares else [pair.split for pair, _ in found]
        names = [f"{pair.where} {pair.image}" for pair, _ in found]
        divided = splits.assign(group, plan.shares or splits.SHARES, plan.seed, given, names)
    leaking = splits.leaks(shown, divided, by_scene=plan.by != "image")
    if leaking:
        raise UserError(f"{leaking[0]} ({len(leaking)} such leaks); {splits.ANEW}")
    return [{**line, "split": split} for (_, line), split in zip(found, divided, strict=True)]


def _about(
    plan: PreparePlan, reading: Reading, pairs: Sequence[Pair], identity: Mapping[str, Any], command: str
) -> dict[str, Any]:
    """The head of the card."""
    source = SOURCES[plan.source]
    return {
        "what": "questions of a person who wears a camera indoors, with answers",
        "source": source.what,
        "command": command,
        "seed": plan.seed,
        "licence": plan.licence or reading.about.get("licence") or source.licence,
        "made_from": {key: reading.about[key] for key in ("command", "seed", "data_sha256") if key in reading.about},
        "cameras": {
            "assumed": sum(not (pair.line or {}).get("camera") for pair in pairs),
            "assumption": f"{plan.hfov:g} degrees wide, level, 1.4 m above the floor, no distortion",
        },
        "plan": dict(identity),
        "checks": {"in_two_splits_by_scene_path_or_pixels": 0, "divided_by": plan.by},
    }


def _finish(
    plan: PreparePlan, draft: Draft, lines: list[Line], about: Mapping[str, Any], remarks: list[Remark]
) -> Prepared:
    """Writes and describes everything; then the data set is there."""
    draft.write(LINES, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))
    if remarks:
        draft.write(REMARKS, "".join(json.dumps(remark.to_json()) + "\n" for remark in remarks))
    made = card.describe(draft.folder, lines, about, remarks)
    draft.write(CARD, json.dumps(made, indent=1, allow_nan=False) + "\n")
    draft.finish(plan.out, {image for line in lines for image in card.images_of(line)})
    return Prepared(made, remarks)
