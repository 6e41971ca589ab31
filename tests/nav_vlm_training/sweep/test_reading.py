from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nav_vlm_node.errors import UserError
from nav_vlm_training.sweep.reading import Asked, Sweep, read_sweep

GOOD: dict[str, Any] = {"name": "s", "data": "d", "groups": [{"name": "g", "grid": {"variant": ["lm_only"]}}]}
HEAD = "name: s\ndata: d\n"
GROUP = "groups:\n  - name: g\n    grid: {variant: [lm_only]}\n"


def read(text: str, folder: Path) -> Sweep:
    path = folder / "s.yaml"
    path.write_text(text, encoding="utf-8")
    return read_sweep(path)


def line_of(text: str, folder: Path) -> str:
    """The one line that is said of `text`, without the file's name."""
    with pytest.raises(UserError) as caught:
        read(text, folder)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(str(folder / "s.yaml"))
    return said.removeprefix(str(folder / "s.yaml")).lstrip(": ")


def test_what_a_group_has_from_the_sweep(tmp_path: Path) -> None:
    sweep = read(
        HEAD + "model: m\nfit: {epochs: 3, rate: 0.1}\nevaluate: {split: test, text: true, batch: 8}\nseeds: [3, 4]\n"
        "compare_with: b/joint\ngroups:\n"
        "  - {name: a, data: other, seeds: [5], fit: {rate: 0.2}, grid: {rank: [4, 8]}}\n"
        "  - {name: b, settings: paper, model: null, evaluate: {text: false}, grid: {variant: [joint]}}\n",
        tmp_path,
    )
    a, b = sweep.groups
    assert (sweep.name, sweep.compare_with) == ("s", "b/joint")
    assert (a.data, a.model, a.settings, a.seeds) == (tmp_path / "other", tmp_path / "m", "usual", (5,))
    assert (a.fit, a.grid) == ({"epochs": 3, "rate": 0.2}, {"rank": (4, 8)})
    assert a.asked == Asked(splits=("test",), text=True, batch=8)
    assert (b.data, b.model, b.settings, b.seeds) == (tmp_path / "d", None, "paper", (3, 4))
    assert (b.fit, b.asked.text, b.asked.batch) == ({"epochs": 3, "rate": 0.1}, False, 8)


def test_the_file_s_name_where_there_is_none(tmp_path: Path) -> None:
    sweep = read("data: d\n" + GROUP, tmp_path)
    assert (sweep.name, sweep.compare_with, sweep.groups[0].seeds) == ("s", "", (0,))


def test_a_number_without_a_dot_is_a_number(tmp_path: Path) -> None:
    assert yaml.safe_load("1e-4") == "1e-4"  # which is why
    (group,) = read(HEAD + "fit: {rate: 1e-4}\ngroups: [{name: g, grid: {rate: [1e-3, 2]}}]\n", tmp_path).groups
    assert (group.fit["rate"], group.grid["rate"]) == (1e-4, (1e-3, 2.0))
    assert all(type(value) is float for value in group.grid["rate"])


def test_merged_mappings(tmp_path: Path) -> None:
    text = HEAD + "fit: &usual {epochs: 3, rank: 4}\n" + GROUP + "    fit: {<<: *usual, rank: 8}\n"
    assert read(text, tmp_path).groups[0].fit == {"epochs": 3, "rank": 8}


def test_split_and_baselines_as_words_or_lists(tmp_path: Path) -> None:
    (group,) = read(HEAD + "evaluate: {split: 'test, val', baselines: [constant]}\n" + GROUP, tmp_path).groups
    assert (group.asked.splits, group.asked.baselines) == (("test", "val"), ("constant",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "sedes: [1]\n" + GROUP, "no key 'sedes': there are name, data, model"),
        (HEAD + GROUP + "    compare_with: x\n", "groups[0]: no key 'compare_with'"),
        (HEAD + "data: e\n" + GROUP, "line 3: 'data' stands there twice; keep one"),
        (HEAD + GROUP + "    fit: {rank: 4, rank: 8}\n", "line 6: 'rank' stands there twice"),
        (HEAD + "fit: {rnak: 4}\n" + GROUP, "group 'g': fit.rnak: no such option of fit: there are variant, rank"),
        (HEAD + "fit: {seed: 4}\n" + GROUP, "group 'g': fit.seed: give seeds, a list, in its place"),
        (HEAD + "fit: {rank: four}\n" + GROUP, "group 'g': fit.rank is 'four'; give a whole number"),
        (HEAD + "fit: {rank: true}\n" + GROUP, "group 'g': fit.rank is True; give a whole number"),
        (HEAD + "fit: {rank: 4.0}\n" + GROUP, "group 'g': fit.rank is 4.0; give a whole number"),
        (HEAD + "fit: {rate: fast}\n" + GROUP, "group 'g': fit.rate is 'fast'; give a number"),
        (HEAD + f"fit: {{rate: {'9' * 400}}}\n" + GROUP, "group 'g': fit.rate is 999"),
        (HEAD + "fit: {mirror: 1}\n" + GROUP, "group 'g': fit.mirror is 1; give true or false"),
        (HEAD + "fit: 4\n" + GROUP, "fit is 4; give a mapping"),
        (HEAD + "settings: null\n" + GROUP, "settings is None; give text"),
        (HEAD + "name: null\n".replace("name", "seeds") + GROUP, "seeds is None; give a list"),
        (HEAD + "seeds: []\n" + GROUP, "group 'g': seeds is []; give different numbers from 0 up"),
        (HEAD + "seeds: [1, 1]\n" + GROUP, "group 'g': seeds is [1, 1]; give different numbers"),
        (HEAD + "seeds: [-1]\n" + GROUP, "group 'g': seeds is [-1]; give different numbers"),
        (HEAD + "evaluate: {spilt: test}\n" + GROUP, "group 'g': evaluate.spilt: no such option of evaluate"),
        (HEAD + "evaluate: {splits: test}\n" + GROUP, "group 'g': evaluate.splits: no such option of evaluate"),
        (HEAD + "evaluate: {split: 3}\n" + GROUP, "group 'g': evaluate.split is 3; give a list of names"),
        (HEAD + "evaluate: {batch: 0}\n" + GROUP, "group 'g': evaluate.batch is 0; give a number from 1 up"),
        (HEAD + "evaluate: {limit: -1}\n" + GROUP, "group 'g': evaluate.limit is -1; give a number from 0 up"),
        (HEAD, "groups is empty; give a list of groups"),
        (HEAD + "groups: []\n", "groups is empty"),
        (HEAD + "groups: {a: 1}\n", "groups is {'a': 1}; give a list"),
        (HEAD + "groups: [3]\n", "groups[0] is no mapping; give it a name and a grid"),
        (HEAD + "groups: [{grid: {rank: [4]}}]\n", "groups[0] has no name; give it one"),
        (HEAD + "groups: [{name: g}]\n", "group 'g': grid is empty; give at least one option"),
        (HEAD + "groups: [{name: g, grid: {}}]\n", "group 'g': grid is empty"),
        (HEAD + "groups: [{name: g, grid: {rank: []}}]\n", "group 'g': grid.rank is []; give a list of values"),
        (HEAD + "groups: [{name: g, grid: {rank: 4}}]\n", "group 'g': grid.rank is 4; give a list of values"),
        (HEAD + "groups: [{name: g, grid: {rate: [1, 1.0]}}]\n", "group 'g': grid.rate has a value twice"),
        (HEAD + "groups: [{name: g, grid: {rank: [a]}}]\n", "group 'g': grid.rank is 'a'; give a whole number"),
        (HEAD + GROUP + GROUP.partition("\n")[2], "two groups have the name 'g'; give each its own"),
        ("name: s\n" + GROUP, "group 'g': data is missing; name a data set"),
        ("", "is no sweep: it needs name, data and groups"),
        ("[1, 2]", "is no sweep"),
        ("a: [1", "is no YAML"),
        ("2026-13-45", "is no YAML (month must be in 1..12); put that right"),
        ("!!bool maybe", "is no YAML"),
        ("!!set [a]", "is no YAML"),
        ("!!map [a]", "is no YAML"),
        ("!!timestamp now", "is no YAML"),
        ('!!int ""', "is no YAML"),
        ("1" * 5000, "is no YAML"),
        ("[" * 3000, "is no YAML"),
        ("!!python/object/apply:os.getcwd []", "is no YAML"),
        ("? [a]\n: b", "is no YAML"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(text: str, said: str, tmp_path: Path) -> None:
    assert line_of(text, tmp_path).startswith(said)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.yaml cannot be read: No such file or directory; give the YAML"):
        read_sweep(tmp_path / "nowhere.yaml")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_sweep(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(UserError, match=r"bytes.yaml is no YAML"):
        read_sweep(tmp_path / "bytes.yaml")


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["lm_only", "1e-4", "usual", "d"])
)  # fmt: skip
KEYS = st.sampled_from(
    ["name", "data", "model", "settings", "fit", "evaluate", "seeds", "groups", "compare_with", "grid", "variant"]
    + ["rank", "rate", "dropout", "mirror", "split", "limit", "baselines", "batch"]
) | st.text(max_size=3)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)
WORDS = [*"[]{}\n?<", "name", "groups", "grid", ": ", "- ", "  ", "? ", "&a ", "*a", "<<", "!!set ", "!!int ", "!!map "]
FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def sweep_or_line(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.yaml"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            said = "" if read_sweep(path).groups else "no groups"
        except UserError as error:
            said = str(error)
        assert said == "" or said.startswith(str(path))


@FUZZ
@given(st.text() | st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=20).map("".join))
def test_any_text_is_a_sweep_or_a_line(text: str) -> None:
    sweep_or_line(text)


@FUZZ
@given(st.dictionaries(KEYS, ANYTHING, max_size=3), st.dictionaries(KEYS, ANYTHING, max_size=3))
def test_any_values_are_a_sweep_or_a_line(shared: dict[str, Any], group: dict[str, Any]) -> None:
    sweep_or_line(yaml.safe_dump({**GOOD, **shared}))
    sweep_or_line(yaml.safe_dump({**GOOD, "groups": [{**GOOD["groups"][0], **group}]}))
