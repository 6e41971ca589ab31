from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nav_vlm_node.errors import UserError
from nav_vlm_node.view import View
from nav_vlm_training.data import draft, pictures
from nav_vlm_training.data.check import check
from nav_vlm_training.data.prepare import Prepared, PreparePlan, prepare
from nav_vlm_training.data.samples import Pictures, read_dataset
from nav_vlm_training.evaluation.drawing import annotated
from nav_vlm_training.evaluation.judging import judge_text
from tests.nav_vlm_training.data.labelled import annotation, export, task
from tests.nav_vlm_training.datasets import make_dataset
from tests.nav_vlm_training.indoor67 import make_paper, make_picture, paper_lines, pixels_of

COMMAND = "nav-vlm-train prepare"


def plan_for(tmp_path: Path, **changes: Any) -> PreparePlan:
    """A plan for a small set in the paper's form, which is made if it is not there."""
    if not (tmp_path / "questions.txt").exists():
        make_paper(tmp_path)
    usual = {
        "source": "paper", "data": (tmp_path / "questions.txt",), "pictures": tmp_path / "mit",
        "out": tmp_path / "out", "quiet": True,
    }  # fmt: skip
    return PreparePlan(**{**usual, **changes})


def made(tmp_path: Path, **changes: Any) -> Prepared:
    return prepare(plan_for(tmp_path, **changes), COMMAND)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_papers_form_becomes_a_data_set_that_is_read_and_judged(tmp_path: Path) -> None:
    card = made(tmp_path).card
    data = read_dataset(tmp_path / "out")
    assert len(data.samples) == 24
    assert data.sha256 == card["data_sha256"]
    assert set(data.splits) == {"train", "val", "test"}
    assert card["counts"]["questions"] == 24
    assert card["counts"]["images"] == 12
    assert card["left_out"] == 0
    assert "for research only" in card["licence"]
    assert sum(card["shares"]["direction"].values()) == pytest.approx(1, abs=1e-3)
    assert {sample.room for sample in data.samples} == {"corridor", "library", "stairscase"}
    lines = [json.loads(line) for line in (tmp_path / "out" / "questions.jsonl").read_text().splitlines()]
    assert [line["source"] for line in lines[:2]] == ["questions.txt:1", "questions.txt:3"]
    for sample in data.samples:
        hits = judge_text(sample, sample.text).outcome.hits
        assert hits.get("direction_accuracy", True)
        assert not hits.get("reversal_rate", False)
        assert Pictures(data.folder, View(width=32, height=32))(sample).shape == (32, 32, 3)
        assert not (data.folder / sample.image).is_symlink()
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_hazard_whose_place_nobody_said_can_be_reported(tmp_path: Path) -> None:
    make_picture(tmp_path / "a.jpg")
    line = {"image": "a.jpg", "question": "Is there an obstacle", "answer": "Yes, there is a table."}
    (tmp_path / "data.jsonl").write_text(json.dumps(line))
    prepare(
        PreparePlan(
            source="jsonl", data=(tmp_path / "data.jsonl",), out=tmp_path / "out", quiet=True, shares={"test": 1.0}
        ),
        COMMAND,
    )
    (sample,) = read_dataset(tmp_path / "out").samples
    assert annotated(tmp_path / "out", judge_text(sample, "Move 2 metres.")).ndim == 3


def test_a_camera_that_nobody_knows_is_assumed_and_the_card_says_so(tmp_path: Path) -> None:
    card = made(tmp_path, hfov=75.0).card
    (sample, *_) = read_dataset(tmp_path / "out").samples
    assert (sample.camera.width, sample.camera.height) == (64, 48)
    assert sample.camera.hfov == pytest.approx(75 * 3.14159265 / 180, abs=1e-6)
    assert card["cameras"]["assumed"] == 24
    assert card["cameras"]["assumption"].startswith("75 degrees wide")


def test_the_same_command_gives_the_same_bytes_and_the_seed_divides(tmp_path: Path) -> None:
    made(tmp_path)
    made(tmp_path, out=tmp_path / "again")
    assert files(tmp_path / "out") == files(tmp_path / "again")
    made(tmp_path, out=tmp_path / "other", seed=1)
    first, other = (read_dataset(tmp_path / name).samples for name in ("out", "other"))
    assert [s.split for s in first] != [s.split for s in other]
    assert [s.text for s in first] == [s.text for s in other]


def test_all_questions_about_a_picture_and_its_twin_are_in_one_split(tmp_path: Path) -> None:
    make_paper(tmp_path)
    twins = [("library/twin.jpg", "corridor/corridor_00.jpg"), ("library/copy.jpg", "library/library_01.jpg")]
    for twin, of in twins:
        shutil.copy(tmp_path / "mit" / "Images" / of, tmp_path / "mit" / "Images" / twin)
    with (tmp_path / "questions.txt").open("a") as file:
        file.write("\n".join(paper_lines(twin for twin, _ in twins)))
    for seed in range(5):
        made(tmp_path, out=tmp_path / f"out{seed}", seed=seed)
        split = {sample.image: sample.split for sample in read_dataset(tmp_path / f"out{seed}").samples}
        assert all(split[f"images/{twin}"] == split[f"images/{of}"] for twin, of in twins)
        found = check(tmp_path / f"out{seed}", quiet=True)
        assert (found.leaks, found.pictures, found.contents) == ((), 14, 12)


def test_the_check_reads_what_is_on_disk(tmp_path: Path) -> None:
    made(tmp_path)
    samples = read_dataset(tmp_path / "out").samples
    train = next(s.image for s in samples if s.split == "train")
    test = next(s.image for s in samples if s.split == "test")
    with Image.open(tmp_path / "out" / train) as picture:  # the same pixels in another file format
        picture.save(tmp_path / "out" / test, format="PNG")
    (leak,) = check(tmp_path / "out", quiet=True).leaks
    assert leak.what == "pixels"
    assert set(leak.images) == {train, test}


def test_whole_rooms_can_be_kept_apart(tmp_path: Path) -> None:
    made(tmp_path, by="room")
    split = {(sample.room, sample.split) for sample in read_dataset(tmp_path / "out").samples}
    assert len(split) == 3


def test_the_lists_of_indoor67_divide(tmp_path: Path) -> None:
    made(tmp_path, lists=True)
    samples = read_dataset(tmp_path / "out").samples
    assert {s.image for s in samples if s.split == "test"} == {
        f"images/{room}/{room}_03.jpg" for room in ("corridor", "library", "stairscase")
    }


def test_nothing_odd_is_lost(tmp_path: Path) -> None:
    make_paper(tmp_path)
    images = tmp_path / "mit" / "Images" / "corridor"
    (images / "broken.jpg").write_bytes((images / "corridor_00.jpg").read_bytes()[:200])
    Image.fromarray(pixels_of("grey")).convert("L").save(images / "grey.jpg")
    odd = [
        "an odd line",
        "corridor/none.jpg;Q:Where is the exit;A:Ahead.",
        "corridor/broken.jpg;Q:Where is the exit;A:Ahead.",
        "Images/Corridor/GREY.jpg;Q:Where is the exit;A:Blue.",
    ]
    with (tmp_path / "questions.txt").open("a") as file:
        file.write("\n".join(odd))
    prepared = made(tmp_path)
    assert [str(remark) for remark in prepared.remarks] == [
        "questions.txt:48: it is not like path;Q:question;A:answer; left out",
        "questions.txt:49: its picture corridor/none.jpg is not there; left out",
        prepared.remarks[2].where + ": " + prepared.remarks[2].why + "; left out",
        "corridor/grey.jpg: is not plain RGB (mode L); converted",
        "questions.txt:50: its picture corridor/broken.jpg cannot be used; left out",
        "questions.txt:51: not judged: nothing of it was understood",
    ]
    assert prepared.remarks[2].where == "corridor/broken.jpg"
    assert "is broken" in prepared.remarks[2].why
    kept = [json.loads(line) for line in (tmp_path / "out" / "remarks.jsonl").read_text().splitlines()]
    assert kept == [remark.to_json() for remark in prepared.remarks]
    assert kept[0]["raw"] == "an odd line"
    assert prepared.card["left_out"] == 4
    assert prepared.card["counts"]["questions"] == 25
    assert not list((tmp_path / "out").rglob("broken*"))
    assert (tmp_path / "out" / "images" / "corridor" / "grey.jpg.png").is_file()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pictures": "none"}, "no folder of pictures"),
        (
            {"pictures": "empty"},
            "none of the 12 pictures that the questions name is in .*empty.*the first is corridor/",
        ),
        ({"source": "jsonl"}, "no question could be read, the first remark is: questions.txt:1: not JSON"),
        ({"source": "labelstudio"}, "questions.txt is not JSON"),
        ({"source": "json"}, "questions.txt is not JSON"),
        ({"source": "sim"}, "no question could be read, the first remark"),
        ({"source": "else"}, "--from else: give one of sim, paper, json"),
        ({"by": "question"}, "--by question: give one of scene, image, room"),
        ({"shares": {"train": 0.5}}, "add up to 1"),
        ({"shares": {"train": 1.0}, "lists": True}, "lists or shares"),
        ({"hfov": 180.0}, "--hfov 1 to 179"),
        ({"limit": -1}, "--limit must be"),
        ({"limit": 2, "by": "room"}, "cannot be divided into 3 splits"),
        ({"data": (Path("none.txt"),)}, "--data none.txt is not there"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    make_paper(tmp_path)
    (tmp_path / "empty").mkdir()
    if "pictures" in changes:
        changes = {"pictures": tmp_path / changes["pictures"]}
    before = files(tmp_path)
    with pytest.raises(UserError, match=said) as raised:
        made(tmp_path, **changes)
    assert "\n" not in str(raised.value)
    assert files(tmp_path) == before
    assert not (tmp_path / ".out.draft").exists()


def test_pictures_that_are_all_broken_are_one_line(tmp_path: Path) -> None:
    make_paper(tmp_path)
    for path in (tmp_path / "mit" / "Images").rglob("*.jpg"):
        path.write_bytes(b"nothing")
    with pytest.raises(
        UserError, match=r"no picture can be used, the first remark is: corridor/corridor_00.jpg: is broken"
    ):
        made(tmp_path)
    assert not (tmp_path / ".out.draft").exists()


def test_what_is_there_is_kept_and_another_set_is_refused(tmp_path: Path) -> None:
    first = made(tmp_path).card
    before = files(tmp_path / "out")
    assert made(tmp_path).card == first
    with pytest.raises(UserError, match=r"holds another data set \(seed differ\); give another --out"):
        made(tmp_path, seed=9)
    with (tmp_path / "questions.txt").open("a") as file:
        file.write(paper_lines(["corridor/corridor_00.jpg"])[0].replace("exit", "lift"))
    with pytest.raises(UserError, match=r"holds another data set \(data differ\)"):
        made(tmp_path)
    assert files(tmp_path / "out") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("dear diary")
    with pytest.raises(UserError, match="is no data set that `prepare` made"):
        made(tmp_path, out=tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "dear diary"
    (tmp_path / "bare").mkdir()
    assert made(tmp_path, out=tmp_path / "bare").card["counts"]["questions"] == 25


def test_a_folder_in_the_drafts_place_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / ".out.draft").mkdir()
    (tmp_path / ".out.draft" / "notes.txt").write_text("dear diary")
    with pytest.raises(UserError, match="is in the way and was not made by `prepare`"):
        made(tmp_path)
    assert (tmp_path / ".out.draft" / "notes.txt").read_text() == "dear diary"


def failing_after(count: int, real: Callable[..., Any], error: BaseException) -> Callable[..., Any]:
    calls = iter(range(10_000))

    def take(*args: Any, **options: Any) -> Any:
        if next(calls) >= count:
            raise error
        return real(*args, **options)

    return take


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["full disk", "Ctrl-C"]
)
def test_a_run_that_stopped_goes_on_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    made(tmp_path, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(draft, "take", failing_after(5, pictures.take, error))
        if isinstance(error, OSError):
            with pytest.raises(
                UserError, match=r"cannot make .*out: No space left on device; .* goes on where it stop"
            ):
                made(tmp_path)
        else:
            with pytest.raises(KeyboardInterrupt):
                made(tmp_path)
    assert not (tmp_path / "out").exists()
    with (tmp_path / ".out.draft" / "pictures.jsonl").open("a") as ledger:
        ledger.write('{"name": "corridor/corr')  # a line that was not finished
    with monkeypatch.context() as patch:
        patch.setattr(draft, "take", failing_after(2, pictures.take, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path)
    taken: list[Path] = []

    def counted(source: Path, target: Path, **options: Any) -> Any:
        taken.append(source)
        return pictures.take(source, target, **options)

    monkeypatch.setattr(draft, "take", counted)
    made(tmp_path)
    assert len(taken) == 12 - 5 - 2
    assert files(tmp_path / "out") == files(tmp_path / "whole")


@pytest.mark.parametrize("name", ["questions.jsonl", "card.json"])
def test_a_disk_that_is_full_at_the_end_leaves_no_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = draft.Draft.write

    def full(self: draft.Draft, file: str, text: str) -> None:
        real(self, file, text[:10] if file == name else text)
        if file == name:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(draft.Draft, "write", full)
        with pytest.raises(UserError, match="No space left"):
            made(tmp_path)
    assert not (tmp_path / "out").exists()
    made(tmp_path)
    made(tmp_path, out=tmp_path / "whole")
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(UserError, match=r"0 MB free and the pictures need"):
        prepare(plan, COMMAND)
    assert not (tmp_path / ".out.draft").exists()


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    plan_for(tmp_path)
    made(tmp_path, out=tmp_path / "whole")
    code = (
        "import os, signal, sys\n"
        "from nav_vlm_training import cli\n"
        "from nav_vlm_training.data import draft, pictures\n"
        "calls = iter(range(100))\n"
        "def take(*args, **options):\n"
        "    if next(calls) == 4:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return pictures.take(*args, **options)\n"
        "draft.take = take\n"
        "cli.main(sys.argv[1:])\n"
    )
    words = ["prepare", "--from", "paper", "--data", "questions.txt", "--pictures", "mit", "--out", "out"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "out").exists()
    assert len((tmp_path / ".out.draft" / "pictures.jsonl").read_text().splitlines()) == 4
    made(tmp_path)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_two_runs_at_a_time_do_not_mix(tmp_path: Path) -> None:
    plan = plan_for(tmp_path)
    with draft.draft_of(plan.out, plan.identity()), pytest.raises(UserError, match="another run is preparing"):
        prepare(plan, COMMAND)
    assert (tmp_path / ".out.draft").is_dir()
    prepare(plan, COMMAND)


def test_another_run_does_not_go_on_with_what_is_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(draft, "take", failing_after(5, pictures.take, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path)
    make_picture(tmp_path / "mit" / "Images" / "corridor" / "corridor_00.jpg", "repaired")
    made(tmp_path, seed=3)
    made(tmp_path, out=tmp_path / "whole", seed=3)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_a_picture_that_changed_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(draft, "take", failing_after(5, pictures.take, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path)
    changed = tmp_path / "mit" / "Images" / "corridor" / "corridor_00.jpg"
    Image.fromarray(pixels_of("changed")).convert("L").save(changed)
    made(tmp_path)
    made(tmp_path, out=tmp_path / "whole")
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_a_limit_draws_questions(tmp_path: Path) -> None:
    assert made(tmp_path, limit=10).card["counts"]["questions"] == 10
    made(tmp_path, out=tmp_path / "other", limit=10, seed=1)
    first, other = ({s.text + s.image for s in read_dataset(tmp_path / n).samples} for n in ("out", "other"))
    assert first != other


def test_pictures_can_be_linked(tmp_path: Path) -> None:
    made(tmp_path, link=True)
    image = read_dataset(tmp_path / "out").samples[0].image
    assert (tmp_path / "out" / image).samefile(tmp_path / "mit" / "Images" / image.removeprefix("images/"))


def test_a_simulated_set_keeps_its_truth_its_cameras_and_its_splits(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "set", splits=("train", "val", "test", "heldout_room"), scenes=8)
    prepared = prepare(
        PreparePlan(source="sim", data=(folder,), out=tmp_path / "out", quiet=True, licence="mine"), COMMAND
    )
    old, new = read_dataset(folder), read_dataset(tmp_path / "out")
    assert [repr(sample) for sample in new.samples] == [repr(sample) for sample in old.samples]
    assert prepared.card["made_from"]["command"] == "make-data"
    assert prepared.card["cameras"]["assumed"] == 0
    assert prepared.card["licence"] == "mine"
    assert list(prepared.card["counts"]["splits"]) == ["train", "val", "test", "heldout_room"]
    plan = PreparePlan(
        source="sim", data=(folder,), out=tmp_path / "anew", quiet=True, shares={"train": 0.5, "test": 0.5}, limit=60
    )
    prepare(plan, COMMAND)
    anew = read_dataset(tmp_path / "anew").samples
    assert len(anew) == 60
    assert {sample.split for sample in anew} == {"train", "test"}
    assert not check(tmp_path / "anew", quiet=True).leaks


def test_pictures_from_before_come_along(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        make_picture(tmp_path / name)
    lines = [
        {"image": "b.jpg", "question": "Where?", "answer": "Turn left.", "earlier": ["a.jpg"]},
        {"image": "a.jpg", "question": "Where?", "answer": "Turn right."},
        {"image": "c.jpg", "question": "Where?", "answer": "Turn right.", "earlier": ["none.jpg"]},
        {"image": "c.jpg", "question": "Where?", "answer": "Turn right."},
    ]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    plan = PreparePlan(
        source="jsonl", data=(tmp_path / "data.jsonl",), out=tmp_path / "out", quiet=True,
        shares={"train": 0.5, "test": 0.5},
    )  # fmt: skip
    prepared = prepare(plan, COMMAND)
    first, second, _ = read_dataset(tmp_path / "out").samples
    assert first.earlier == ("images/a.jpg",)
    assert first.split == second.split
    assert [str(remark) for remark in prepared.remarks] == ["data.jsonl:3: its picture none.jpg is not there; left out"]
    assert prepared.card["licence"].startswith("not stated")


def test_a_camera_that_does_not_fit_its_picture_is_left_out(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "set", scenes=4)
    image = read_dataset(folder).samples[0].image
    Image.fromarray(pixels_of("other")).save(folder / image)
    prepared = prepare(PreparePlan(source="sim", data=(folder,), out=tmp_path / "out", quiet=True), COMMAND)
    assert "its camera is 48x36 and its picture 64x48" in prepared.remarks[0].why
    assert prepared.card["left_out"] == 12
    assert not (tmp_path / "out" / image).exists()


def test_splits_of_the_source_that_leak_are_refused(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "set", scenes=4, splits=("train", "test"))
    samples = read_dataset(folder).samples
    train, test = (next(s.image for s in samples if s.split == split) for split in ("train", "test"))
    shutil.copy(folder / train, folder / test)
    plan = PreparePlan(source="sim", data=(folder,), out=tmp_path / "out", quiet=True)
    with pytest.raises(UserError, match=r"the source puts what shows the same into train and test \(.*\); divide anew"):
        prepare(plan, COMMAND)
    assert not (tmp_path / "out").exists()


def test_every_annotators_answer_is_in_the_data_set(tmp_path: Path) -> None:
    tasks = []
    for number in range(6):
        make_picture(tmp_path / "hall" / f"{number}.jpg")
        data = {"image": f"/data/local-files/?d=hall/{number}.jpg", "question": "Where is the exit?"}
        made_by = [annotation(who, answer=answer) for who, answer in ((1, "Turn left."), (2, "It's on your left."))]
        tasks.append(task(data, *made_by, number=number))
    path = export(tmp_path / "export.json", tasks)
    prepared = prepare(PreparePlan(source="labelstudio", data=(path,), out=tmp_path / "out", quiet=True), COMMAND)
    assert prepared.card["counts"]["questions"] == 12
    assert prepared.card["counts"]["annotators"] == 2
    lines = [json.loads(line) for line in (tmp_path / "out" / "questions.jsonl").read_text().splitlines()]
    assert [line["annotator"] for line in lines[:2]] == ["1", "2"]
    assert len({line["split"] for line in lines if line["image"] == "images/hall/0.jpg"}) == 1
    assert prepared.remarks == []
