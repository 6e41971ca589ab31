#!/usr/bin/env python3
"""Write the tables in README.md and docs/ from the figures in docs/results, or check that they are up to date.

    python tools/make_tables.py [--check] [FILE ...]

A table stands between two marks, which are kept:

    <!-- table: measures docs/results/embedded.json -->
    ...
    <!-- end table -->

The first word says which table (see TABLES), the second which figures; more words are the table's own.
With --check nothing is written, and the exit status is 1 where a table is not what the figures give.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nav_vlm_node.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
MARKED = re.compile(r"(?P<open><!-- table: (?P<words>[^\n]*?) -->\n).*?(?P<close><!-- end table -->)", re.DOTALL)
OPENING = re.compile(r"<!-- table:")
SYSTEMS = {
    "base": "base",
    "constant": "one answer",
    "question_only": "question only",
    "shuffled": "wrong picture",
}
Table = Callable[[Mapping[str, Any], Sequence[str]], str]


def measures(figures: Mapping[str, Any], words: Sequence[str]) -> str:
    """The measures of `nav-vlm-train evaluate` beside the baselines; words: which measures, by default all."""
    beside = {name: figures["baselines"][name] for name in SYSTEMS if name in figures["baselines"]}
    names = list(words) or [name for name, value in figures.items() if is_share(value)]
    rows = [
        [
            f"`{name}`",
            str(figures[name]["n"]),
            share(figures[name]),
            *(share(part.get(name)) for part in beside.values()),
        ]
        for name in names
    ]
    title = f"{figures['model']} + {figures['adapter']}" if figures["adapter"] else figures["model"]
    return markdown(["measure", "n", title, *(SYSTEMS[name] for name in beside)], rows)


def differences(figures: Mapping[str, Any], words: Sequence[str]) -> str:
    """What new words, textures and rooms cost in direction accuracy."""
    rows = [
        [
            name,
            share(found["train"]),
            share(found["heldout"]),
            f"{found['points']:+.1f} ({found['low']:+.1f} to {found['high']:+.1f})",
        ]
        for name, found in figures["differences"].items()
    ]
    return markdown(["new", "familiar", "held out", "difference in points"], rows)


def shares(figures: Mapping[str, Any], words: Sequence[str]) -> str:
    """Every measured share among the figures, also one level down; words: which, by default all."""
    found = {name: value for name, value in figures.items() if is_share(value)}
    for name, value in figures.items():
        if isinstance(value, dict) and not is_share(value):
            found.update({f"{name}: {inner}": part for inner, part in value.items() if is_share(part)})
    if is_share(figures):
        found = {"all": figures, **found}
    names = list(words) or list(found)
    return markdown(["figure", "n", "share"], [[name, str(found[name]["n"]), share(found[name])] for name in names])


def values(figures: Mapping[str, Any], words: Sequence[str]) -> str:
    """Plain numbers, each named by its path: latency_s.p50 or settings[0].first_token_s."""
    if not words:
        raise UserError("the table `values` needs the paths of its figures after the file")
    return markdown(["figure", "value"], [[f"`{path}`", number(look_up(figures, path))] for path in words])


def nodes(figures: Mapping[str, Any], words: Sequence[str]) -> str:
    """tools/bench_node.py: what waits for the model, by node."""
    columns = {
        "image_age_s": "image age at publish", "get_parameters_while_busy_s": "parameter call meanwhile",
        "cancel_while_busy_s": "cancel meanwhile",
    }  # fmt: skip
    rows = [
        [node["what"], *(f"{1000 * node[key]['p50']:.0f} / {1000 * node[key]['max']:.0f} ms" for key in columns)]
        for node in figures["nodes"].values()
    ]
    return markdown(["median / longest", *columns.values()], rows)


def ablation(figures: Mapping[str, Any], words: Sequence[str]) -> str:
    """The rows of an ablation; words: which measures."""
    heads = ["row", "trained", "seeds", *(f"`{name}`" for name in words)]
    rows = [
        [
            ", ".join(row["groups"]),
            f"{row['trained_parameters']:,}",
            str(len(row["seeds"]) or "–"),
            *(share(row.get(name)) for name in words),
        ]
        for row in figures["rows"]
    ]
    return markdown(heads, rows)


def ablation_differences(figures: Mapping[str, Any], words: Sequence[str]) -> str:
    """How rows of an ablation differ from the first of their group and from the one that all are compared with."""
    heads = ["row", "against", "points", "p", "questions", "scenes", "seeds"]
    rows = [
        [
            found["row"],
            found["against"],
            f"{100 * found['value']:+.1f} ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})",
            f"{found['p']:.3f}",
            *(str(found[key]) for key in ("n", "scenes", "seeds")),
        ]
        for found in figures["differences"]
    ]
    return markdown(heads, rows)


def walks(figures: Mapping[str, Any], words: Sequence[str]) -> str:
    """`nav-vlm-sim evaluate`: a row for each guide; words: which measures, after `class:A` of that class alone."""
    kind, names = "", list(words)
    if names and names[0].startswith("class:"):
        kind, names = names[0].partition(":")[2], names[1:]
    rows = []
    for guide, found in figures["guides"].items():
        of = found["classes"][kind] if kind else found
        rows.append([guide, str(of["episodes"]), *(figure_of(name, of[name]) for name in names)])
    return markdown(["guide", "walks", *(f"`{name}`" for name in names)], rows)


def walks_more(figures: Mapping[str, Any], words: Sequence[str]) -> str:
    """`nav-vlm-sim evaluate`: what the first guide has more than each other one on the same walks."""
    names = list(figures["guides"])
    rows = []
    for guide in names[1:]:
        more = figures["guides"][guide]["first_more"]
        arrivals, spl = (
            {key: 100 * more[name][key] for key in ("value", "low", "high")} for name in ("success_rate", "spl")
        )
        rows.append([guide, *(f"{f['value']:+.1f} ({f['low']:+.1f} to {f['high']:+.1f})" for f in (arrivals, spl))])
    return markdown([f"{names[0]} less", "arrivals, points", "SPL, points"], rows)


def simulators(figures: Mapping[str, Any], words: Sequence[str]) -> str:
    """tests/gazebo_classic: the same walks with the pictures of one simulator and of the other."""
    heads = ["pictures by", "walks", "arrived", "SPL", "questions", "wrong side", "collisions"]
    names = {"gazebo": "Gazebo Classic", "mujoco": "MuJoCo"}
    rows = [
        [
            name,
            str(of["walks"]),
            share(of["success_rate"]),
            f"{of['spl']:.2f}",
            str(of["questions"]),
            f"{of['reversals']} of {of['sided']}",
            str(of["collisions"]),
        ]
        for name, of in ((name, figures["walks"][key]) for key, name in names.items())
    ]
    return markdown(heads, rows)


def latencies(figures: Mapping[str, Any], words: Sequence[str]) -> str:
    """tools/measure_walks.py latency: a row for each latency and guide; words: which measures."""
    rows = [
        [f"{row['latency_s']:g} s", guide, *(figure_of(name, found[name]) for name in words)]
        for guide in ("model", "oracle")
        for row in figures["latencies"]
        for found in [row[guide]]
    ]
    return markdown(["heard after", "guide", *(f"`{name}`" for name in words)], rows)


def figure_of(name: str, figure: Mapping[str, Any]) -> str:
    """A rate as a share, anything else as a number, both with their interval."""
    if name.endswith(("_rate", "_per_question")) or figure["value"] is None:
        return share(figure)
    return f"{figure['value']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"


TABLES: dict[str, Table] = {
    "measures": measures, "differences": differences, "shares": shares, "values": values, "nodes": nodes,
    "ablation": ablation, "ablation_differences": ablation_differences,
    "walks": walks, "walks_more": walks_more, "simulators": simulators, "latencies": latencies,
}  # fmt: skip


def share(figure: Mapping[str, Any] | None) -> str:
    """As 93.1 % (92.0 to 94.1); a dash where nothing was counted."""
    if figure is None or figure["value"] is None:
        return "–"
    return f"{100 * figure['value']:.1f} % ({100 * figure['low']:.1f} to {100 * figure['high']:.1f})"


def number(value: object) -> str:
    """A number with three significant digits, anything else as it is."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def is_share(value: object) -> bool:
    """Whether it is {"value", "low", "high", "n", ...}."""
    return isinstance(value, Mapping) and {"value", "low", "high", "n"} <= set(value)


def look_up(figures: Any, path: str) -> Any:
    """The figure at a path such as a.b[2].c. Raises UserError."""
    try:
        for step in re.findall(r"[^.\[\]]+", path):
            figures = figures[int(step)] if isinstance(figures, list) else figures[step]
    except (KeyError, IndexError, TypeError, ValueError):
        raise UserError(f"there is no figure {path!r}") from None
    return figures


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def source(figures: Mapping[str, Any], path: str) -> str:
    """The line under a table: where its figures are from. Raises UserError for figures without a command."""
    if not figures.get("command"):
        raise UserError(f"{path} names no command: a figure without one is not kept")
    machine = figures.get("machine") or {}
    cores = f"{machine['cores']} cores" if machine.get("cores") else ""
    facts = [
        f"`{figures['command']}`",
        str(figures.get("date") or "")[:10],
        f"commit {figures['commit'][:12]}" if figures.get("commit") else "",
        ", ".join(part for part in (machine.get("gpu"), machine.get("cpu"), cores) if part),
        f"[figures]({path})",
    ]
    return "Measured by " + "; ".join(fact for fact in facts if fact) + "."


def render(words: Sequence[str], root: Path, document: Path) -> str:
    """A table with its source. words: the mark's. Raises UserError."""
    if len(words) < 2 or words[0] not in TABLES:
        raise UserError(f"`table: {' '.join(words)}`: give one of {', '.join(TABLES)}, then the file of its figures")
    path = root / words[1]
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{words[1]} cannot be read ({type(error).__name__}); measure it again") from None
    depth = len(document.relative_to(root).parents) - 1
    try:
        return TABLES[words[0]](figures, words[2:]) + "\n\n" + source(figures, "../" * depth + words[1])
    except KeyError as error:
        raise UserError(f"{words[1]} has no {error}; measure it again") from None


def updated(text: str, root: Path, document: Path) -> str:
    """The document with its tables as the figures give them. Raises UserError."""
    if len(MARKED.findall(text)) != len(OPENING.findall(text)):
        raise UserError(f"{document.name}: a `<!-- table: ... -->` has no `<!-- end table -->`")
    return MARKED.sub(lambda m: f"{m['open']}{render(m['words'].split(), root, document)}\n{m['close']}", text)


def documents(root: Path) -> list[Path]:
    """README.md and the pages of docs/ that there are."""
    found = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return [path for path in found if path.is_file()]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write or check; returns the exit status."""
    parser = argparse.ArgumentParser(description="tables of README.md and docs/ from docs/results")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="which documents (README.md and docs/)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a table is out of date")
    args = parser.parse_args(arguments)
    stale = 0
    try:
        for path in [root / file for file in args.files] or documents(root):
            text = path.read_text(encoding="utf-8")
            new = updated(text, root, path)
            if new == text:
                continue
            name = str(path.relative_to(root))
            if args.check:
                stale += 1
                lines = difflib.unified_diff(
                    text.splitlines(), new.splitlines(), name, f"{name} (figures)", lineterm="", n=0
                )
                print("\n".join(lines))
            else:
                path.write_text(new, encoding="utf-8")
                print(f"{name}: written")
    except (UserError, OSError) as error:
        print(f"make_tables: error: {error}", file=sys.stderr)
        return 2
    if stale:
        print("make_tables: tables are out of date; run: python tools/make_tables.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
