"""report.html: complete in itself, readable without pictures, and safe whatever the words are."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nav_vlm_node.instruction import Action, Step
from nav_vlm_node.score import Truth
from nav_vlm_sim.demo.records import Reply, summary_of
from nav_vlm_sim.demo.report import report
from nav_vlm_sim.demo.run import _claim, write
from tests.browser import dom
from tests.nav_vlm_sim.demo.made_up import SETTING, answered, visible

RIGHT = "Turn left 30 degrees, then move 3 metres to the box."
VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """What a browser or a screen reader finds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page() -> Page:
    hazard = Step(Action.CAUTION, 0.2, 1.5, "chair")
    unknown = Truth("unknown", "zoo", steps=(Step(Action.UNKNOWN),))
    questions = [
        answered(RIGHT, number=1),
        answered("Turn right 40 degrees, then move 3 metres to the box.", visible(0.5, 3.0, (hazard,)), number=2),
        answered("I do not know that place.", unknown, number=3, by="topic"),
        answered(None, number=4),
    ]
    return Page(report(questions, SETTING))


def test_it_is_well_formed_and_ids_are_unique(page: Page) -> None:
    assert page.open == []
    ids = Counter(attributes["id"] for _, attributes in page.tags if "id" in attributes)
    assert ids
    assert max(ids.values()) == 1
    for link in page.all("a"):
        assert link["href"].removeprefix("#") in ids
    for _, attributes in page.tags:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids


def test_it_loads_nothing(page: Page) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:image/jpeg;base64,")), (tag, name)
    assert not page.all("link")
    assert not page.all("iframe")


def test_it_reads_well_without_pictures(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    for image in page.all("img"):
        assert "box 29 degrees left at 3.0 metres" in image["alt"]
    plans = [svg["aria-label"] for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(plans) == len(page.all("img")) == 4
    assert "The true way: 29 degrees left, 3.0 metres. The answer's: 30 degrees left, 3.0 metres." in plans[0]
    assert "Hazards: chair 11 degrees left, 1.5 metres." in plans[1]
    words = " ".join(page.words)
    for text in (RIGHT, "I do not know that place.", "no answer came", "nav-vlm demo", "right", "wrong", "failed"):
        assert text in words
    assert "nan" not in re.split(r"\W+", words.lower())


def test_words_from_outside_are_escaped() -> None:
    evil = '</p><script>alert("x")</script>'
    text = report([answered(RIGHT, question=evil)], SETTING)
    assert evil not in text
    assert len(Page(text).all("script")) == 1


def test_play_has_the_answer_as_it_came(page: Page) -> None:
    buttons = page.all("button")
    assert next(button["data-say"] for button in buttons) == RIGHT
    assert json.loads(buttons[0]["data-pieces"]) == [[0.2, "Turn"], [0.3, "Turn left"]]
    assert all("hidden" in button for button in buttons)  # without a script there is nothing to press
    assert len(buttons) == 3


def test_each_play_button_has_a_name_of_its_own(page: Page) -> None:
    names = [button["aria-label"] for button in page.all("button")]
    assert names == ["Play answer 1", "Play answer 2", "Play answer 3"]


def test_a_second_play_ends_the_first(tmp_path: Path) -> None:
    """Each answer is whole again after the other's turn, and only the last one pressed is spoken."""
    answers = [answered(RIGHT), answered("Turn right 20 degrees.", number=2)]
    (tmp_path / "report.html").write_text(report(answers, SETTING), encoding="utf-8")
    act = """
    const log = [], late = [], [one, two] = document.querySelectorAll("button[data-say]");
    const shown = () => [one, two].map(button => button.previousElementSibling.textContent);
    window.setTimeout = (act, milliseconds) => { late.push(act); return late.length; };
    window.clearTimeout = timer => { late[timer - 1] = () => {}; };
    window.SpeechSynthesisUtterance = function (said) { this.said = said; };
    const synthesis = {cancel() {}, speak(words) { log.push(words.said); }};
    Object.defineProperty(window, "speechSynthesis", {value: synthesis});
    one.click(); log.push(shown()); two.click(); log.push(shown());
    late.forEach(act => act()); log.push(shown());
    document.body.dataset.log = JSON.stringify(log);
    """
    html = dom(tmp_path / "report.html", act=act)
    found = re.search(r'data-log="([^"]*)"', html)
    assert found is not None
    log = json.loads(unescape(found[1]))
    other = "Turn right 20 degrees."
    assert log == [["\u2026", other], [RIGHT, "\u2026"], other, [RIGHT, other]]


def test_pictures_of_an_earlier_demo_go_and_nobody_elses(tmp_path: Path) -> None:
    (tmp_path / "07-something-in-view.png").write_bytes(b"of an earlier demo")
    (tmp_path / "01-holiday.png").write_bytes(b"mine")
    (tmp_path / ".draft").mkdir()
    (tmp_path / ".draft" / "letter.txt").write_text("mine")
    _claim(tmp_path)
    write([answered(RIGHT)], SETTING, tmp_path)
    kept = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*") if path.is_file())
    assert kept == [".draft/letter.txt", "01-holiday.png", answered(RIGHT).picture, "report.html"]
    assert (tmp_path / "01-holiday.png").read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [".draft"]


def test_the_summary_counts() -> None:
    summary = summary_of([answered(RIGHT), answered(RIGHT, by="topic"), answered(None)])
    assert str(summary).startswith("3 questions: 2 right, 1 failed. First words after 0.20 s, whole answer after 0.50")
    assert str(summary_of([])) == "0 questions: 0 right."
    assert math.isnan(Reply(instruction=None).first_text)
