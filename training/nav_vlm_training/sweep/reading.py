"""The YAML of a sweep: what is varied in it, group by group, and its checks.

    name: ablation
    data: shifted            # a data set, from here or absolute; a group may have another
    model: null              # a base; null for the one that comes with nav_vlm
    settings: usual          # named settings of `nav-vlm-train fit`
    fit: {samples: 1000}     # its options, for all trials
    evaluate: {split: test}  # options of `nav-vlm-train evaluate`, for all trials
    seeds: [0, 1, 2]
    compare_with: variants/lm_only
    groups:
      - name: variants
        grid: {variant: [zero_shot, lm_only, joint]}
      - name: rank
        seeds: [0]
        fit: {mirror: true}
        grid: {rank: [4, 16, 64], rate: [1e-4, 1e-3]}

A group has what it does not state from the sweep; its `fit` and `evaluate` are laid over the sweep's.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nav_vlm_node.errors import UserError
from nav_vlm_training.fit.config import FitConfig

SEED = "seed"
_SHARED: dict[str, Any] = {
    "name": str, "data": str, "model": str | None, "settings": str, "fit": dict, "evaluate": dict, "seeds": list,
}  # fmt: skip
_SWEEP: dict[str, Any] = {**_SHARED, "groups": list, "compare_with": str}
_GROUP: dict[str, Any] = {**_SHARED, "grid": dict}
_MERGE = "tag:yaml.org,2002:merge"
# The last ones are PyYAML's for 2026-13-45, !!bool x, !!timestamp x, !!int "", and for a thousand brackets.
_NO_YAML = (yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError, RecursionError)
_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How every trial is evaluated, as options of `nav_vlm_training.evaluation`.

    seed: of which questions are drawn where there is a `limit`. baselines: beside each trial; usually none.
    """

    splits: tuple[str, ...] = ()
    limit: int = 0
    seed: int = 0
    text: bool = False
    encoder: str = ""
    baselines: tuple[str, ...] = ()
    batch: int = 64
    max_new_tokens: int = 96
    dtype: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Trials that belong together. grid: option of FitConfig -> its values; fit: options that are the same for all.

    where: for messages.
    """

    name: str
    where: str
    data: Path
    model: Path | None
    settings: str
    fit: Mapping[str, Any]
    asked: Asked
    seeds: tuple[int, ...]
    grid: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """compare_with: GROUP/ROW as in the table, "" for none."""

    name: str
    groups: tuple[Group, ...]
    compare_with: str = ""


class _Loader(yaml.SafeLoader):
    """YAML in which no key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: list[Any] = []
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag == _MERGE:
                continue
            keys.append(self.construct_object(key, deep=True))  # type: ignore[no-untyped-call]
            if keys[-1] in keys[:-1]:
                raise UserError(f"line {key.start_mark.line + 1}: {keys[-1]!r} stands there twice; keep one")
        return super().construct_mapping(node, deep)


def read_sweep(path: Path) -> Sweep:
    """Raises UserError that names the key that is wrong."""
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}; give the YAML of a sweep") from None
    except UserError as error:
        raise UserError(f"{path} {error}") from None
    except _NO_YAML as error:
        line = " ".join(str(error).split())
        raise UserError(f"{path} is no YAML ({line}); put that right") from None
    if not isinstance(found, dict):
        raise UserError(f"{path} is no sweep: it needs name, data and groups")
    return _sweep(found, path)


def _sweep(found: Mapping[str, Any], path: Path) -> Sweep:
    where = str(path)
    _check_keys(found, _SWEEP, where)
    if not found.get("groups"):
        raise UserError(f"{where}: groups is empty; give a list of groups, each with a name and a grid")
    shared = {"settings": "usual", "seeds": [0], **{key: value for key, value in found.items() if key in _SHARED}}
    groups = [_group(group, index, shared, path) for index, group in enumerate(found["groups"])]
    names = [group.name for group in groups]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{where}: two groups have the name {name!r}; give each its own")
    return Sweep(
        name=str(found.get("name", path.stem)), groups=tuple(groups), compare_with=found.get("compare_with") or ""
    )


def _group(found: Any, index: int, shared: Mapping[str, Any], path: Path) -> Group:
    where = f"{path}: groups[{index}]"
    if not isinstance(found, dict):
        raise UserError(f"{where} is no mapping; give it a name and a grid")
    _check_keys(found, _GROUP, where)
    if not found.get("name"):
        raise UserError(f"{where} has no name; give it one")
    where = f"{path}: group {found['name']!r}"
    every = {**shared, **found}
    if not every.get("data"):
        raise UserError(f"{where}: data is missing; name a data set there or for the whole sweep")
    fit = {**(shared.get("fit") or {}), **(found.get("fit") or {})}
    asked = {**(shared.get("evaluate") or {}), **(found.get("evaluate") or {})}
    grid = found.get("grid")
    if not grid:
        raise UserError(f"{where}: grid is empty; give at least one option with its values")
    return Group(
        name=found["name"], where=where, settings=every["settings"],
        data=path.parent / every["data"], model=path.parent / every["model"] if every.get("model") else None,
        fit={name: _option(name, value, f"{where}: fit.{name}") for name, value in fit.items()},
        asked=_asked(asked, f"{where}: evaluate"),
        seeds=_seeds(every["seeds"], where),
        grid={name: _values(name, values, f"{where}: grid.{name}") for name, values in grid.items()},
    )  # fmt: skip


def _check_keys(found: Mapping[Any, Any], known: Mapping[str, Any], where: str) -> None:
    for key, value in found.items():
        if key not in known:
            raise UserError(f"{where}: no key {key!r}: there are {', '.join(known)}")
        if value is not None or key in ("name", "settings", "seeds", "grid"):
            _typed(value, known[key], f"{where}: {key}")


def _typed(value: Any, kind: Any, where: str) -> Any:
    """`value` if it is of that kind, which may be a union. YAML takes 1e-4, without a dot, for text: it is a number."""
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if value is None and type(None) in kinds:
        return None
    if float in kinds and isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    elif isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds):
        return value
    wanted = " or ".join(_WORDS[one] for one in kinds if one in _WORDS)
    raise UserError(f"{where} is {value!r}; give {wanted}")


def _kinds() -> dict[str, Any]:
    return typing.get_type_hints(FitConfig)


def _option(name: Any, value: Any, where: str) -> Any:
    kinds = _kinds()
    if name == SEED:
        raise UserError(f"{where}: give seeds, a list, in its place")
    if name not in kinds:
        raise UserError(f"{where}: no such option of fit: there are {', '.join(kinds)}")
    return _typed(value, kinds[name], where)


def _values(name: Any, values: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(values, list) or not values:
        raise UserError(f"{where} is {values!r}; give a list of values")
    found = tuple(_option(name, value, where) for value in values)
    if len(set(found)) < len(found):
        raise UserError(f"{where} has a value twice; keep one")
    return found


def _seeds(values: Sequence[Any], where: str) -> tuple[int, ...]:
    found = tuple(_typed(value, int, f"{where}: seeds") for value in values)
    if not found or len(set(found)) < len(found) or min(found) < 0:
        raise UserError(f"{where}: seeds is {list(values)}; give different numbers from 0 up")
    return found


def _asked(found: Mapping[Any, Any], where: str) -> Asked:
    kinds = {**typing.get_type_hints(Asked), "split": str}
    kinds.pop("splits")
    given: dict[str, Any] = {}
    for name, value in found.items():
        if name not in kinds:
            raise UserError(f"{where}.{name}: no such option of evaluate: there are {', '.join(kinds)}")
        if name in ("split", "baselines"):
            words = value.split(",") if isinstance(value, str) else value
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise UserError(f"{where}.{name} is {value!r}; give a list of names")
            given["splits" if name == "split" else name] = tuple(word.strip() for word in words if word.strip())
        else:
            given[name] = _typed(value, kinds[name], f"{where}.{name}")
    least = {"limit": 0, "seed": 0, "batch": 1, "max_new_tokens": 1}
    for name, low in least.items():
        if given.get(name, low) < low:
            raise UserError(f"{where}.{name} is {given[name]}; give a number from {low} up")
    return Asked(**given)
