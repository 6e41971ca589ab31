"""Figures as a table and a plot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from nav_vlm_sim.walks.charts import LEFT, MORE, PANEL, ROWS, plot, table
from nav_vlm_sim.walks.command import table as lines
from nav_vlm_sim.walks.metrics import by_class, summarise
from tests.nav_vlm_sim.walks.made_up import walked


def figures() -> dict[str, Any]:
    episodes = [walked(arrived=k < 3, reversals=k % 2).episode for k in range(4)]
    return by_class({"model": episodes, "<oracle>": episodes[:2]}, "AB")


def cells(html: str) -> list[list[str]]:
    body = html[html.index("<table>") : html.index("</table>") + len("</table>")]
    return [["".join(cell.itertext()) for cell in row] for row in ElementTree.fromstring(body).iter("tr")]


def test_the_table_holds_every_measure_with_its_interval() -> None:
    found = figures()
    rows = cells(table(found, "all & <more>"))
    assert rows[0] == ["", "model", "<oracle>"]
    assert rows[1] == ["walks", "4", "2"]
    assert len(rows) == len(ROWS) + len(MORE) + 2
    success = found["model"]["success_rate"]
    assert rows[2][1] == f"75.0 % ({100 * success['low']:.1f} to {100 * success['high']:.1f})"


def test_the_first_guide_is_compared_with_the_others_walk_by_walk() -> None:
    ends = [True, True, False, True]
    ours = [replace(walked(arrived=end).episode, seed=k) for k, end in enumerate(ends)]
    theirs = [replace(walked(arrived=False).episode, seed=k) for k in range(4)]
    rows = cells(table(found := by_class({"<model>": ours, "base": theirs}, "AB"), "both"))
    more = found["base"]["first_more"]["success_rate"]
    assert rows[-2] == [
        "walks that arrive: <model> more by", "",
        f"75.0 % ({100 * more['low']:.1f} to {100 * more['high']:.1f})",
    ]  # fmt: skip
    assert lines(found)[-1].startswith("<model> arrives in +75.0 points (")
    assert lines(found)[-1].endswith("more of the 4 walks that base has taken too")
    alone = by_class({"<model>": ours}, "AB")
    assert len(cells(table(alone, "one"))) == len(ROWS) + 2
    assert len(lines(alone)) == 2
    assert len(lines(by_class({"<model>": ours, "base": []}, "AB"))) == 3


def test_what_is_not_known_is_no_number() -> None:
    rows = cells(table({"model": summarise([])}, "none"))
    assert {row[1] for row in rows[2:]} == {"–"}


def test_the_plot_shows_value_and_interval() -> None:
    found = figures()
    svg = ElementTree.fromstring(plot(found))
    dots = [element for element in svg if element.get("class") == "value"]
    spreads = [element for element in svg if element.get("class") == "spread"]
    assert len(dots) == len(spreads) == 4
    first = found["model"]["success_rate"]
    for name, share in (("low", "x1"), ("high", "x2")):
        assert float(spreads[0].get(share, "nan")) == pytest.approx(LEFT + PANEL * first[name], abs=0.1)
    assert float(dots[0].get("cx", "nan")) == pytest.approx(LEFT + PANEL * 0.75, abs=0.1)
    assert "<oracle>" in [element.text for element in svg]


def test_a_guide_without_walks_has_no_dot() -> None:
    svg = ElementTree.fromstring(plot({"model": summarise([])}))
    assert not [element for element in svg if element.get("class") == "value"]
