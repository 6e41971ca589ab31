from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nav_vlm_node.score import MEASURES
from nav_vlm_training.data.samples import Sample, read_dataset
from nav_vlm_training.evaluation.drawing import SAID, SHOWN, TRUE, annotated, confusion_plot, jpeg
from nav_vlm_training.evaluation.evaluate import Evaluation, EvaluationPlan, evaluate
from nav_vlm_training.evaluation.judging import confusion, judge_text
from nav_vlm_training.evaluation.report import markdown, page, share, worst, write_report
from tests.nav_vlm_training.datasets import SeeingEngine, make_dataset
from tests.tiny_models import make_tiny_blip2


class Wrong(SeeingEngine):
    """Sends the wearer to the other side of the stairs, and tries to be a page."""

    def answer(self, image: str, query: str) -> str:
        text = super().answer(image, query)
        if "stairs" in query and "left" in text:
            return text.replace("left", "right")
        return text if "exit" not in query else "<script>alert(1)</script> | a"


@pytest.fixture
def evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluation:
    data = make_dataset(tmp_path / "set", splits=("test", "heldout_room"))
    model = make_tiny_blip2(tmp_path / "model", with_adapter=True)
    monkeypatch.setattr("nav_vlm_node.vlm.load.load_engine", lambda *args, **kwargs: Wrong(data))
    return evaluate(EvaluationPlan(data=data, model=model, quiet=True))


class Page(HTMLParser):
    """Checks that what is opened is closed; collects addresses."""

    VOID = ("img", "meta", "br", "hr", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(evaluation: Evaluation) -> None:
    text = page(evaluation, confusion_plot(evaluation.figures["directions"]))
    parsed = Page()
    parsed.feed(text)
    assert not parsed.open
    assert "script" not in parsed.tags, "what a model writes is text, not markup"
    assert all(address.startswith("data:image/") for address in parsed.addresses)
    assert "url(" not in text
    assert "://" not in text
    bad = worst(evaluation.judged)
    assert parsed.tags.count("figure") == len(bad) + 12
    assert len(text) < 1_500_000
    for measure in MEASURES:
        assert measure in text


def test_the_worst_come_first_and_once(evaluation: Evaluation) -> None:
    bad = worst(evaluation.judged)
    badness = [one.outcome.badness for one in bad]
    assert badness == sorted(badness, reverse=True)
    assert bad[0].outcome.hits["reversal_rate"]
    assert len({(one.sample.image, one.sample.truth.target) for one in bad}) == len(bad)
    assert not any(one.right for one in bad)
    assert len(worst(evaluation.judged, 3)) == 3


def test_files_are_written(evaluation: Evaluation, tmp_path: Path) -> None:
    write_report(evaluation, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.json", "report.md", "report.html", "directions.png",
    }  # fmt: skip
    assert (tmp_path / "out" / "directions.png").read_bytes().startswith(b"\x89PNG")


def test_every_table_of_the_markdown_is_square(evaluation: Evaluation) -> None:
    text = markdown(evaluation.figures, worst(evaluation.judged))
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1, block


def test_shares_read_well() -> None:
    assert share({"value": 0.931, "low": 0.92, "high": 0.9414, "n": 9}) == "93.1 % (92.0 to 94.1)"
    assert share({"value": None, "low": None, "high": None, "n": 0}) == share(None) == "–"


def pixels(picture: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> npt.NDArray[np.intp]:
    """Columns of the pixels of an arrow of that colour, at the height of its tip, below the words."""
    near = np.abs(picture.astype(int) - colour).max(axis=2) < 30
    near[:50] = False
    rows, columns = np.nonzero(near)
    return np.asarray(columns[rows <= rows.min() + 2])


@pytest.mark.parametrize("degrees", [-40, -20, 0, 25, 45])
def test_arrows_point_to_the_bearing(tmp_path: Path, degrees: float) -> None:
    """The tip lies in the column of the bearing, and left is left."""
    folder = make_dataset(tmp_path / "set")
    sample: Sample = next(s for s in read_dataset(folder).samples if s.truth.visible and not s.truth.hazards)
    import cv2

    cv2.imwrite(str(folder / sample.image), np.zeros((36, 48, 3), np.uint8))
    sample = replace(sample, truth=replace(sample.truth, bearing=math.radians(degrees)))
    picture = annotated(folder, judge_text(sample, "Move 2 metres."))
    assert picture.shape == (SHOWN.height, SHOWN.width, 3)
    expected = (0.5 - math.radians(degrees) / SHOWN.hfov) * SHOWN.width
    assert abs(pixels(picture, TRUE).mean() - expected) < 12
    if degrees:
        assert abs(pixels(picture, SAID).mean() - SHOWN.width / 2) < 12
    assert jpeg(picture).startswith(b"\xff\xd8")


def test_pictures_of_answers_with_nothing_to_draw(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "set")
    for sample in read_dataset(folder).samples[:12]:
        for text in ("", "Turn around.", sample.text, "Turn left 170 degrees."):
            annotated(folder, judge_text(sample, text))
    assert confusion_plot(confusion([])).startswith(b"\x89PNG")
