"""walks.html: complete in itself, safe whatever the words are, and worked with in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import yaml

from nav_vlm_node.errors import UserError
from nav_vlm_node.instruction import Instruction
from nav_vlm_sim import cli
from nav_vlm_sim.walks import records
from nav_vlm_sim.walks.episode import Picture, Situation, Stage, run
from nav_vlm_sim.walks.evaluate import EPISODES, Settings, tasks_of
from nav_vlm_sim.walks.floorplan import FloorPlan, OnWall, Room, Thing, Walk, plan_to_json, read_plan
from nav_vlm_sim.walks.guides import ConstantGuide, OracleGuide
from nav_vlm_sim.walks.page import PAGE, _walked, write_page
from nav_vlm_sim.walks.painter import Painter
from nav_vlm_sim.walks.picks import MOST, PICTURES, REVERSALS, picked
from nav_vlm_sim.walks.snapshots import people_missing, pictures, snapshots
from tests.browser import dom, screenshot

PLAN = FloorPlan(
    name="two <rooms>",
    rooms=(Room(name="west", x=(0.0, 5.0), y=(0.0, 4.0)), Room(name="east", x=(5.2, 10.0), y=(0.0, 4.0))),
    walls=(
        OnWall(kind="open door", room="west", wall="east", at=2.0, to="east"),
        OnWall(kind="exit", room="east", wall="north", at=8.5),
    ),
    things=(Thing(kind="box", x=3.0, y=0.6), Thing(kind="person", x=2.0, y=3.2, speed=0.5)),
    walks=(
        Walk(x=1.0, y=1.5, yaw=0.0, goal="exit", kind="B"),
        Walk(x=8.0, y=1.0, yaw=90.0, goal="exit", kind="A"),
        Walk(x=3.0, y=2.0, yaw=180.0, goal="exit", kind="C"),
    ),
)
EVIL = "Turn </script><script>document.title='owned'</script> & \"left\" 'now' <img src=x onerror=document.title=1>"


class Watched(OracleGuide):
    """For tests: keeps what it could see."""

    def __init__(self) -> None:
        self.seen: list[Picture] = []

    def tell(self, situation: Situation) -> Instruction:
        self.seen.append(situation.picture())
        return super().tell(situation)


@dataclass(frozen=True)
class Walked:
    """A folder with walks and their page."""

    out: Path
    settings: Settings
    page: Path
    text: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("walks")
    plan = out / "my plan.yaml"
    plan.write_text(yaml.safe_dump(plan_to_json(PLAN)), encoding="utf-8")
    stage = Stage(read_plan(plan))
    lines = []
    for guide, made in (("oracle", OracleGuide()), ("constant", ConstantGuide())):
        for number, walk in enumerate(stage.building.plan.walks):
            episode = run(stage, walk, made, number)
            if guide == "constant":
                episode.turns[0].text = EVIL
            lines.append(json.dumps({"key": f"{guide} {plan} {number} {number}", "episode": records.to_json(episode)}))
    (out / EPISODES).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def walked(folder: Path) -> Walked:
    settings = Settings(episodes=1, seed=0, guides=("oracle", "constant"), plans=(str(folder / "my plan.yaml"),))
    page = write_page(folder, settings, tasks_of(settings), quiet=True)
    return Walked(folder, settings, page, page.read_text(encoding="utf-8"))


def test_it_says_where_was_walked_and_how_late_answers_were(walked: Walked, tmp_path: Path) -> None:
    assert "Plans by hand (my plan.yaml), seed 0; average walker, who stands and waits for each answer." in walked.text
    shutil.copy(walked.out / EPISODES, tmp_path / EPISODES)
    late = replace(walked.settings, latency=1.5, manner="hasty")
    text = write_page(tmp_path, late, tasks_of(late), quiet=True).read_text(encoding="utf-8")
    assert "hasty walker, who walks on slowly, and hears each answer 1.5 s late." in text
    assert _walked(Settings(episodes=1, seed=12)).startswith("Plans of seed 12; average walker")


def test_it_loads_nothing_and_ids_are_unique(walked: Walked) -> None:
    assert walked.page == walked.out / PAGE
    sources = re.findall(r"""(?<![\w-])(?:src|href|action|srcset)\s*=\s*["']([^"']*)""", walked.text)
    assert sources
    assert all(source.startswith(("data:image/jpeg;base64,", "#w")) for source in sources)
    assert not re.search(r"https?://|url\(|@import|<link|<iframe", walked.text)
    ids = Counter(re.findall(r' id="([^"]*)"', walked.text))
    assert set(ids.values()) == {1}
    for name in re.findall(r'aria-labelledby="([^"]*)"|href="#([^"]*)"', walked.text):
        assert "".join(name) in ids


def test_texts_are_escaped(walked: Walked) -> None:
    assert EVIL in unescape(walked.text)
    assert EVIL not in walked.text
    assert "<rooms>" not in walked.text
    assert walked.text.count("<script>") == walked.text.count("</script>") == 1


def test_it_is_readable_without_seeing_it(walked: Walked) -> None:
    images = re.findall(r"<img [^>]*>", walked.text)
    assert images
    assert all(re.search(r'alt="[^"]{10,}"', image) for image in images)
    drawings = re.findall(r"<svg [^>]*>", walked.text)
    assert all('aria-label="' in drawing or 'aria-hidden="true"' in drawing for drawing in drawings)


def test_what_went_wrong_comes_first(walked: Walked) -> None:
    ends = re.findall(r'<article class="walk"[^>]* data-guide="(\w+)"[^>]* data-end="(\w+)"', walked.text)
    assert len(ends) == 6
    lost = [end for _, end in ends].count("lost")
    assert lost >= 1
    assert all(end == "lost" for _, end in ends[:lost])


def test_a_full_page_stays_small(walked: Walked) -> None:
    photos = [len(source) for source in re.findall(r"data:image/jpeg;base64,[^\"]*", walked.text)]
    assert PICTURES * float(np.mean(photos)) < 9e6
    assert PICTURES // MOST > REVERSALS + 1


def test_pictures_are_what_the_guide_saw(folder: Path) -> None:
    with Painter() as painter:
        stage = Stage(read_plan(folder / "my plan.yaml"), painter)
        guide = Watched()
        walk = stage.building.plan.walks[0]
        episode = records.from_json(json.loads(json.dumps(records.to_json(run(stage, walk, guide, 3)))))
        assert len(episode.turns) == len(guide.seen) >= 2
        assert episode.turns[-1].people != episode.turns[0].people
        assert not people_missing(stage, episode)
        again = pictures(stage, episode, list(range(len(episode.turns))))
        for k, seen in enumerate(guide.seen):
            assert np.abs(again[k].astype(int) - seen).mean() < 0.5
        assert np.abs(again[0].astype(int) - again[1]).mean() > 2
        assert all(data.startswith(b"\xff\xd8") for data in snapshots(stage, episode, 20).values())
        older = replace(episode, turns=[replace(turn, people=[]) for turn in episode.turns])
        assert people_missing(stage, older)
        assert len(pictures(stage, older, [0])) == 1


# ---- in a browser ------------------------------------------------------------------------------


State = tuple[str, str, str]  # the walk that is shown, which of its questions, and what is said aloud
_LOOK = """
const log = [];
const key = (name, shiftKey = false) =>
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, shiftKey, bubbles: true, cancelable: true }));
const click = (name) => document.getElementById(name).click();
const choose = (name, value) => {
  const box = document.querySelector(`select[name=${name}]`);
  box.value = value;
  box.dispatchEvent(new Event("change"));
};
const look = () => {
  const walks = [...document.querySelectorAll("article.walk")].filter((one) => one.getClientRects().length);
  const turns = walks.flatMap((one) => [...one.querySelectorAll(".turn")]);
  const shown = turns.filter((one) => one.getClientRects().length);
  const asks = walks.flatMap((one) => [...one.querySelectorAll(".ask.now")]);
  const places = shown.map((one) => turns.indexOf(one));
  if (String(asks.map((ask) => Number(ask.dataset.turn))) !== String(places)) throw Error("the map shows another");
  log.push([walks.map((one) => one.id).join(), places.map((k) => `${k + 1} of ${turns.length}`).join(),
            document.getElementById("where").textContent]);
};
"""


def states(page: Path, acts: list[str], fragment: str = "") -> tuple[list[State], str]:
    """What is shown after each of some scripts, one after the other; and the page's HTML at the end."""
    told = "".join(f"{act};look();" for act in acts)
    html = dom(page, fragment=fragment, act=f"{_LOOK}{told}document.body.dataset.log = JSON.stringify(log);")
    found = re.search(r' data-log="([^"]*)"', html)
    assert found is not None
    return [(walk, turn, said) for walk, turn, said in json.loads(unescape(found[1]))], html


def test_buttons_and_keys_lead_on_and_back(walked: Walked) -> None:
    last = len(re.findall('class="turn"', walked.text[: walked.text.index('id="w2"')]))
    assert last > 2
    acts = {
        "": ("w1", "1"),
        "click('turn-back'); click('walk-back')": ("w1", "1"),
        "key('ArrowRight'); key('ArrowRight'); key('ArrowLeft')": ("w1", "2"),
        f"for (let k = 0; k < {last - 1}; k++) key('ArrowRight')": ("w2", "1"),
        "key('ArrowLeft')": ("w1", f"{last}"),
        "click('turn-on'); click('turn-on')": ("w2", "2"),
        "click('walk-on'); click('walk-on'); click('walk-back')": ("w3", "1"),
        "for (let k = 0; k < 9; k++) key('ArrowRight', true)": ("w6", "1"),
        "key('x'); key('ArrowLeft', true)": ("w5", "1"),
    }
    found, html = states(walked.page, list(acts))
    assert [(walk, turn.split(" of ")[0]) for walk, turn, _ in found] == list(acts.values())
    assert found[0][2].startswith(f"Walk 1 of 6, question 1 of {last}: Turn </script>")
    assert found[-1][2].startswith("Walk 5 of 6, question 1 of ")
    assert "<title>nav_vlm: walks</title>" in html


def test_a_question_on_the_map_is_shown_and_the_legend_leads_nowhere(walked: Walked) -> None:
    ask = 'document.querySelector("article.now .ask[data-turn=\'1\']").dispatchEvent(new Event("click"))'
    legend = 'for (const one of document.querySelectorAll(".legend .ask")) one.dispatchEvent(new Event("click"))'
    (on, still), _ = states(walked.page, [ask, legend])
    assert on[:2] == still[:2]
    assert on[1].startswith("2 of ")
    assert '<g class="ask now">' in walked.text


def test_filters_narrow_what_is_leafed_through(walked: Walked) -> None:
    (a, none, again), _ = states(
        walked.page,
        [
            "choose('guide', 'oracle'); choose('kind', 'A')",
            "choose('kind', ''); choose('end', 'lost'); key('ArrowRight'); key('ArrowLeft'); click('walk-on')",
            "choose('end', 'arrived'); key('ArrowRight', true)",
        ],
    )
    assert f'id="{a[0]}" aria-labelledby="t{a[0][1:]}" data-guide="oracle" data-kind="A"' in walked.text
    assert a[2].startswith("Walk 1 of 1, ")
    assert none == ("", "", "No walk is like that.")
    assert again[2].startswith("Walk 2 of 3, ")


@pytest.mark.parametrize(
    ("fragment", "shown"),
    [
        ("#w1-2", ("w1", "2")), ("#w3-999", ("w3", "")), ("#x", ("w1", "1")), ("#w1-x", ("w1", "1")),
        ("#w2-", ("w2", "1")),
    ],
)  # fmt: skip
def test_a_link_leads_to_its_walk(walked: Walked, fragment: str, shown: tuple[str, str]) -> None:
    ((walk, turn, _),), _ = states(walked.page, [""], fragment)
    place, _, asked = turn.partition(" of ")
    assert (walk, place) == (shown[0], shown[1] or asked)


def test_it_is_drawn(walked: Walked, tmp_path: Path) -> None:
    import cv2

    screenshot(walked.page, tmp_path / "page.png", width=900, height=1800)
    picture = cv2.imread(str(tmp_path / "page.png"))
    assert picture is not None
    assert picture.shape == (1800, 900, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 2000  # a camera's picture is among it


# ---- what can be wrong -------------------------------------------------------------------------


def test_a_plan_that_was_changed_is_not_drawn(walked: Walked, tmp_path: Path) -> None:
    changed = replace(PLAN, walls=(PLAN.walls[0], replace(PLAN.walls[1], at=6.0)))
    plan = tmp_path / "my plan.yaml"
    plan.write_text(yaml.safe_dump(plan_to_json(changed)), encoding="utf-8")
    lines = (walked.out / EPISODES).read_text().replace(str(walked.out / "my plan.yaml"), str(plan))
    (tmp_path / EPISODES).write_text(lines)
    (tmp_path / PAGE).write_text("an older page")
    settings = replace(walked.settings, plans=(str(plan),))
    with pytest.raises(UserError, match="'two <rooms>' is not what it was"):
        write_page(tmp_path, settings, tasks_of(settings), quiet=True)
    assert (tmp_path / PAGE).read_text() == "an older page"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([EPISODES, PAGE, plan.name])


def test_no_walks_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="holds no walks of model"):
        write_page(tmp_path, Settings(episodes=1, seed=0, guides=("model",)), [])
    assert list(tmp_path.iterdir()) == []
    assert cli.main(["evaluate", "--episodes", "1", "--guides", "oracle", "--page"]) == 2
    assert "--page: give --out as well" in capsys.readouterr().err
    assert picked([]) == []


def test_figures_are_of_this_evaluation_whatever_else_is_kept_there(walked: Walked, tmp_path: Path) -> None:
    """Its folder holds another walk under one of the guides, as after a call for more episodes."""
    lines = (walked.out / EPISODES).read_text()
    first = next(line for line in lines.splitlines() if '"oracle ' in line)
    (tmp_path / EPISODES).write_text(lines + first.replace(" 0 0", " 0 77", 1) + "\n")
    page = write_page(tmp_path, walked.settings, tasks_of(walked.settings), quiet=True)
    assert page.read_text(encoding="utf-8") == walked.text


def test_the_command_writes_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, out = str(folder / "my plan.yaml"), tmp_path / "out"
    options = ["evaluate", "--episodes", "1", "--plan", plan, "--guides", "oracle", "--workers", "1", "--out", str(out)]
    assert cli.main([*options, "--page", "--results", str(tmp_path / "figures.json")]) == 0
    assert (out / PAGE).read_text(encoding="utf-8").count("<article") == 3
    assert json.loads((tmp_path / "figures.json").read_text())["command"].count("--page") == 1
    assert "oracle" in capsys.readouterr().out
