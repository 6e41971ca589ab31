"""A plan from above: everything where it is, every walk with its way; and the command that writes it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nav_vlm_sim import cli
from nav_vlm_sim.walks import floorplan
from nav_vlm_sim.walks.drawing import Way, draw_plan, fitting, plan_svg, ways
from nav_vlm_sim.walks.episode import Stage
from nav_vlm_sim.walks.floorplan import FloorPlan, OnWall, Room, Thing, Walk, plan_from_json
from nav_vlm_sim.walks.plan_command import write_text
from nav_vlm_sim.walks.procedural import plan_of

SVG = "{http://www.w3.org/2000/svg}"
HOME = Path(floorplan.__file__).with_name("plans") / "home.yaml"
PLAN = FloorPlan(
    name="two <rooms>",
    rooms=(Room(name="west & first", x=(0.0, 6.0), y=(0.0, 4.0)), Room(name="east", x=(6.2, 10.0), y=(0.0, 4.0))),
    walls=(
        OnWall(kind="open door", room="east", wall="west", at=2.0, to="west & first"),
        OnWall(kind="exit", room="east", wall="east", at=2.0),
        OnWall(kind="exit sign", room="west & first", wall="north", at=3.0, arrow="right"),
    ),
    things=(Thing(kind="box", x=1.0, y=3.0), Thing(kind="person", x=4.0, y=1.0, yaw=180, speed=0.8)),
    walks=(
        Walk(x=1.0, y=1.0, yaw=90.0, goal="exit", kind="B"),
        Walk(x=9.0, y=1.0, yaw=0.0, goal="exit", kind="A"),
        Walk(x=2.0, y=2.0, yaw=0.0, goal="toilet", kind="C"),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(PLAN)


@pytest.fixture(scope="module")
def svg(stage: Stage) -> ElementTree.Element:
    return ElementTree.fromstring(plan_svg(stage, ways(stage)))


def css(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in svg.iter() if name in element.get("class", "").split()]


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def test_everything_is_there_under_its_name(svg: ElementTree.Element) -> None:
    assert [text.text for text in css(svg, "title")] == ["two <rooms>"]
    assert [text.text for text in css(svg, "room")] == ["west & first", "east"]
    assert [text.text for text in css(svg, "sign")] == ["exit", "exit →"]
    assert [text.text for text in css(svg, "name")] == ["box", "person"]
    assert len(css(svg, "floor")) == 2
    assert len(css(svg, "leaf")) == len(css(svg, "person")) == len(css(svg, "beat")) == 1
    assert [text.text for text in css(svg, "label") if text.text and text.text[0].isdigit()] == [
        "0 exit", "1 exit", "2 toilet",
    ]  # fmt: skip


def test_all_of_it_is_on_the_sheet(svg: ElementTree.Element) -> None:
    _, _, width, height = numbers(svg.get("viewBox", ""))
    for element in [*css(svg, "wall"), *css(svg, "floor"), *css(svg, "walk")]:
        found = numbers(element.get("points", "") + element.get("d", ""))
        assert all(0 <= x <= width for x in found[::2])
        assert all(0 <= y <= height for y in found[1::2])


def test_ways_are_drawn_to_where_they_end_and_one_that_is_missing_is_marked(
    stage: Stage, svg: ElementTree.Element
) -> None:
    sheet = fitting(stage.space)
    found = ways(stage)
    assert [bool(way.path) for way in found] == [True, True, False]
    lines = css(svg, "walk")
    assert len(lines) == 2
    for line, way in zip(lines, found, strict=False):
        drawn = numbers(line.get("d", ""))[: 2 * len(way.path)]
        assert drawn == pytest.approx([v for point in way.path for v in sheet.at(point)], abs=0.06)
    assert len(css(svg, "lost")) == 1
    assert "NO WAY to the toilet" in found[2].told(2)


def test_starts_point_the_way_somebody_faces(stage: Stage, svg: ElementTree.Element) -> None:
    sheet = fitting(stage.space)
    for start, walk in zip(css(svg, "start"), PLAN.walks, strict=True):
        nose = numbers(start.get("points", ""))[:2]
        x, y = sheet.at((walk.x, walk.y))
        assert math.atan2(y - nose[1], nose[0] - x) == pytest.approx(math.radians(walk.yaw), abs=0.05)


def test_the_ground_alone_holds_no_walks(stage: Stage) -> None:
    parts = draw_plan(fitting(stage.space), stage.building)
    ground = ElementTree.fromstring(f"<svg>{''.join(parts)}</svg>")
    assert css(ground, "wall")
    assert not css(ground, "walk") + css(ground, "start")
    assert plan_svg(stage, []).count('class="walk') == 0 < plan_svg(stage, ways(stage)).count('class="walk')
    assert Way(PLAN.walks[0], [(0.0, 0.0), (3.0, 4.0)]).told(0).endswith("5.0 m")


def test_the_command_draws_a_plan_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "home.svg"
    assert cli.main(["plan", str(HOME), "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("home.svg: home, 4 rooms, 6 walks")
    assert re.fullmatch(r"0  A  exit +\d\.\d m", lines[1])
    assert ElementTree.parse(out).getroot().tag == f"{SVG}svg"
    assert list(tmp_path.iterdir()) == [out]


def test_the_command_draws_a_plan_by_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p.svg"
    assert cli.main(["plan", "--seed", "3", "--kind", "home", "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert plan_from_json(printed["plan"]) == plan_of(3, "home")
    assert all(metres > 0 for metres in printed["shortest_m"])
    assert len(printed["shortest_m"]) == len(printed["plan"]["walks"])


@pytest.mark.parametrize(
    ("words", "out", "said"),
    [
        ([], "p.svg", "give the YAML of a floor plan, or --seed"),
        (["a.yaml", "--seed", "1"], "p.svg", "one of the two"),
        (["--seed", "-1"], "p.svg", "give a whole number"),
        (["a.yaml", "--kind", "home"], "p.svg", "--kind is for plans that are drawn"),
        (["--seed", "1", "--kind", "castle"], "p.svg", "no buildings of kind 'castle'"),
        (["no.yaml"], "p.svg", "no.yaml: No such file or directory; give the YAML of a floor plan"),
        ([str(HOME)], "p.png", "give a name that ends with .svg"),
        ([str(HOME)], "no/p.svg", "No such file or directory; give another --out"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: list[str], out: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", *words, "--out", str(tmp_path / out)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


ROOMS = "rooms: [{name: r, x: [0, 5], y: [0, 4]}]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"seed: -1\n{ROOMS}", "seed -1: give a whole number from 0"),
        (f"seed: 1.5\n{ROOMS}", "seed 1.5: give a whole number from 0"),
        (f"seed: {10**17}\n{ROOMS}", "seed 1e+17: give a whole number from 0"),
        (f"seed: {'7' * 5000}\n{ROOMS}", "is no YAML (Exceeds the limit"),
        (f"seed: 0x{'f' * 5000}\n{ROOMS}", "seed: the number is too large"),
        (f"height: {'7' * 400}\n{ROOMS}", "height: the number is too large"),
        (f"name: 2026-13-45\n{ROOMS}", "is no YAML (month must be in 1..12"),
        (f"name: {'[' * 3000}", "nested too deeply"),
        (
            "rooms: [{name: r, x: [0, 1000000], y: [0, 1000000]}]",
            "its rooms reach from 0 to 1e+06 metres; give a plan of",
        ),
        ("rooms: [{name: r, x: [0, 5], y: [1.0e+9, 1000000004]}]", "within 10000 of its origin"),
        ("rooms: [{name: r, x: [-1.0e+308, 1.0e+308], y: [0, 4]}]", "its rooms reach from"),
        (f'name: "a\\ud800b"\n{ROOMS}', "name: 'a\\ud800b' holds the character U+D800"),
        (f'name: "a\\x01b"\n{ROOMS}', "name: 'a\\x01b' holds the character U+0001"),
        (f'name: "a\\uffffb"\n{ROOMS}', "holds the character U+FFFF"),
        (f'{ROOMS}things: [{{kind: "b\\nox", x: 1, y: 1}}]', "things[0].kind: 'b\\nox' holds the character U+000A"),
    ],
    ids=lambda value: value[:20].split("\n")[0],
)
def test_what_is_wrong_in_a_file_is_one_line(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, out = tmp_path / "plan.yaml", tmp_path / "drawn" / "p.svg"
    out.parent.mkdir()
    plan.write_text(text, encoding="utf-8")
    assert cli.main(["plan", str(plan), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(out.parent.iterdir())


def test_names_in_any_language_are_drawn(tmp_path: Path) -> None:
    plan, out = tmp_path / "plan.yaml", tmp_path / "p.svg"
    plan.write_text(f"name: Büro \u0646\u200c\u0627 \u6771 & <b>\n{ROOMS}", encoding="utf-8")
    assert cli.main(["plan", str(plan), "--out", str(out)]) == 0
    assert "\u6771 & <b>" in "".join(ElementTree.parse(out).getroot().itertext())


def test_no_draft_is_left_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "p.svg", "\ud800")
    assert not list(tmp_path.iterdir())
