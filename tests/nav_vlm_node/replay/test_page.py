"""report.html: whole, self-contained, safe with any words; and a real browser shows all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from nav_vlm_node.replay.run import Chosen
from tests.bags import ns, recording
from tests.browser import dom, screenshot
from tests.nav_vlm_node.replay.conftest import Loader

Replayed = Callable[..., dict[str, Any]]
WILD = "<script>document.title='broken'</script>\" ' & \\ \u202e Where is the door?"
VOID = {"meta", "img", "br", "link", "input"}


class Balance(HTMLParser):
    """Checks that every element is closed in order, and collects what is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href") and str(value)[:1] != "#"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def made(replayed: Replayed, loader: Loader, tmp_path: Path) -> Path:
    """A report of two models with a reference, wild words, a bag that is odd, and a question without an image."""
    loader.by_adapter["other"] = (
        "Caution, chair 20 degrees right at 1.5 metres. Turn right 20 degrees, then move 3 metres to the door."
    )
    with recording(tmp_path / "bag") as bag:
        for number in range(30):
            bag.image(number, ns(0.1 * number))
            bag.image(number, ns(0.1 * number), topic="/second")
        bag.image(0, 5)
    questions = tmp_path / "questions.yaml"
    entries = [
        {"time": 0.96, "question": "Where is the door?", "steps": "Turn left 20 degrees, then move 4 metres."},
        {"time": 1.5, "question": WILD},
        {"time": 60, "question": "How do I get to the exit?"},
    ]
    questions.write_text(json.dumps(entries))
    replayed(tmp_path / "bag", questions=questions, chosen=Chosen(), against=Chosen(adapter="other"))
    return tmp_path / "out/report.html"


def test_it_is_whole_and_loads_nothing(replayed: Replayed, loader: Loader, tmp_path: Path) -> None:
    page = made(replayed, loader, tmp_path).read_text(encoding="utf-8")
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert "script" not in parser.names
    assert parser.loaded
    assert all(each.startswith("data:image/jpeg;base64,") for each in parser.loaded)
    assert not re.search(r"url\(|@import|https?://", page)
    assert parser.names.count("article") == 3
    assert parser.names.count("figure") == 2


def test_a_browser_shows_it(replayed: Replayed, loader: Loader, tmp_path: Path) -> None:
    page = made(replayed, loader, tmp_path)
    script = """
      const seen = e => { const r = e.getBoundingClientRect(); return r.width > 40 && r.height > 30; };
      const all = q => [...document.querySelectorAll(q)];
      const over = all('figure').every(f => {
        const a = f.querySelector('img').getBoundingClientRect(), b = f.querySelector('svg').getBoundingClientRect();
        return Math.abs(a.width - b.width) < 2 && Math.abs(a.height - b.height) < 2; });
      const facts = {
        title: document.title, cards: all('article').length, plots: all('svg.plot').filter(seen).length,
        pictures: all('img').filter(i => i.complete && i.naturalWidth > 0 && seen(i)).length, over,
        ways: all('svg.over path.tip').length, links: all('svg.plot a').length,
        led: all('svg.plot a').every(a => document.querySelector(a.getAttribute('href'))),
        wide: document.documentElement.scrollWidth <= window.innerWidth,
        unreached: all('div.scroll, pre').filter(e => e.tabIndex !== 0).length,  // by the keyboard
        unheard: all('[role=img] a, th:not([scope]), img:not([alt])').length };  // by a screen reader
      document.body.style.width = '360px';  // a phone
      const pixels = t => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a;
      facts.over &&= all('svg.plot').every(p => [...p.querySelectorAll('polyline')].every(l => {
        const at = p.createSVGPoint();  // no curve goes through the words
        return [...p.querySelectorAll('text[class]:not(.end)')].every(t => { const b = t.getBBox();
          return [...Array(99).keys()].every(n => { at.x = b.x + b.width * n / 98; at.y = b.y + b.height / 2;
            return !l.isPointInStroke(at); }); }); }));
      facts.torn = all('th').filter(t => getComputedStyle(t).overflowWrap !== 'normal').length;
      facts.small = all('svg.plot text').filter(t => pixels(t) < 11).length;
      facts.wide &&= document.documentElement.scrollWidth <= window.innerWidth;
      document.body.setAttribute('data-facts', JSON.stringify(facts));
    """
    elements = dom(page, act=script)
    found = re.search(r'data-facts="([^"]*)"', elements)
    assert found, elements[:500]
    facts = json.loads(found[1].replace("&quot;", '"').replace("&amp;", "&"))
    assert facts == {
        "title": "Replay of bag", "cards": 3, "plots": 3, "pictures": 2, "over": True, "ways": 5,
        "links": 3, "led": True, "wide": True, "unreached": 0, "unheard": 0, "small": 0, "torn": 0,
    }  # fmt: skip


def test_a_screenshot_is_not_blank(replayed: Replayed, loader: Loader, tmp_path: Path) -> None:
    import cv2

    page = made(replayed, loader, tmp_path)
    screenshot(page, tmp_path / "page.png")
    picture = cv2.imread(str(tmp_path / "page.png"))
    assert picture is not None
    assert picture.std() > 10
