"""docs/architecture.md keeps up with the code: every dependency, every rule that the code refers to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def normalised(text: str) -> str:
    return text.lower().replace("_", "-")


def pinned() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    names = {normalised(re.split("[=;]", line)[0].strip()) for line in lines if line and not line.startswith("#")}
    return sorted(name for name in names if not name.startswith("ros-"))


@pytest.mark.parametrize("name", pinned())
def test_every_dependency_has_its_reason(name: str) -> None:
    found = re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", normalised(TEXT))
    assert found, f"say in docs/architecture.md what {name} is for"


def test_every_rule_that_the_code_refers_to_is_there() -> None:
    rules = set(re.findall(r"^\| (R\d+) \|", TEXT, re.MULTILINE))
    used = set()
    for path in (ROOT / "nav_vlm_node").rglob("*.py"):
        used |= set(re.findall(r"\bR\d{1,2}\b(?=.*architecture)|(?<=, )R\d{1,2}\b", path.read_text(encoding="utf-8")))
    assert used
    assert used <= rules, used - rules
