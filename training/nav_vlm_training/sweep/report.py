"""A sweep for people: sweep.md with table, plot, all measures and the differences; sweep.json with every figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nav_vlm_node import results
from nav_vlm_node.errors import UserError
from nav_vlm_node.score import MEASURES
from nav_vlm_training.evaluation.report import TEXT_MEASURES, table
from nav_vlm_training.evaluation.texts import WHOLE
from nav_vlm_training.sweep.plot import draw
from nav_vlm_training.sweep.rows import read_layout, read_rows
from nav_vlm_training.sweep.table import COMPARED, WORDS, figures_of

FIGURES, MARKDOWN = "sweep.json", "sweep.md"
PLOTS = ("png", "svg")
_MAIN = (COMPARED, "reversal_rate", "coverage", "hazard_recall", "false_clear_rate")
_MORE: dict[str, tuple[str, ...]] = {
    "More measures": tuple(name for name in MEASURES if name not in _MAIN),
    "Texts": (*TEXT_MEASURES, *dict.fromkeys((*WHOLE, WORDS))),
}


def write_sweep(out: Path, command: str) -> dict[str, Any]:
    """Writes sweep.json, sweep.md, sweep.png and sweep.svg from the trials that are done; returns the figures.

    Raises UserError where none is, or where something is damaged or cannot be written.
    """
    layout = read_layout(out)
    figures = {**figures_of(layout, read_rows(out, layout)), **results.record(command)}
    if not figures["rows"]:
        raise UserError(f"no trial in {out} is done; run nav-vlm-train sweep first")
    try:
        results.write(out / FIGURES, figures)
        _write(out / MARKDOWN, markdown(figures).encode())
        for kind in PLOTS:
            _write(out / f"sweep.{kind}", draw(figures["rows"], kind))
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror or error}; the trials are kept") from None
    return figures


def _write(path: Path, data: bytes) -> None:
    """The file is there whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def markdown(figures: Mapping[str, Any]) -> str:
    """sweep.md."""
    rows = figures["rows"]
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    parts = [
        f"# {figures['name']}",
        f"{len(rows)} rows, {len(figures['trials'])} trials, seeds {', '.join(map(str, seeds)) or 'none'}. Shares are"
        " means over seeds with their 95 % intervals, by a bootstrap over scenes and seeds; with one seed, over scenes"
        " alone. What each counts stands in `nav_vlm_node/score.py`. Of the text measures: the mean over seeds, from"
        " the smallest to the largest.",
    ]
    missing = figures["missing"]
    if missing:
        of = len(missing) + len(figures["trials"])
        parts.append(f"**Not done:** {len(missing)} of {of} trials, named at the end.")
    parts += [table(*_main(rows)), f"![{COMPARED} against trained parameters](sweep.svg)"]
    for title, names in _MORE.items():
        if present := [name for name in names if any(name in row for row in rows)]:
            parts += [f"## {title}", table(*_more(rows, present))]
    if figures["differences"]:
        heads = ["row", "against", f"difference in {COMPARED}, points", "p", "questions", "scenes", "seeds"]
        lines = [_difference(found) for found in figures["differences"]]
        parts += ["## Differences, on the same questions and seeds", table(heads, lines)]
    beside = [(row["name"], system, of) for row in rows for system, of in row["baselines"].items()]
    if beside:
        lines = [[name, system, *(share(of.get(measure)) for measure in MEASURES)] for name, system, of in beside]
        parts += ["## Baselines", table(["of", "baseline", *MEASURES], lines)]
    if missing:
        parts += ["## Not done", "\n".join(f"- `{name}`" for name in missing)]
    made = f"`{figures['command']}`, commit {figures['commit'][:12] or 'unknown'}, {figures['date'][:10]}"
    return "\n\n".join([*parts, f"Written by {made}."]) + "\n"


def _main(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """What a row is, and what decides between rows. The data set is named where there are several."""
    several = len({row["data"] for row in rows}) > 1
    heads = ["row", *(["data"] if several else []), "trained parameters", "seeds", "questions", *_MAIN]
    lines = [
        [
            ", ".join(row["groups"]), *([row["data"]] if several else []), f"{row['trained_parameters']:,}",
            str(len(row["seeds"]) or "–"), str(row["questions"]), *(share(row.get(name)) for name in _MAIN),
        ]
        for row in rows
    ]  # fmt: skip
    return heads, lines


def _more(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    kinds = [share if name in MEASURES or name in TEXT_MEASURES else _number for name in names]
    lines = [[row["name"], *(kind(row.get(name)) for kind, name in zip(kinds, names, strict=True))] for row in rows]
    return ["row", *names], lines


def share(figure: Mapping[str, Any] | None) -> str:
    """As 93.1 % (92.0 to 94.1); without interval where a single scene says nothing of others."""
    if not figure or figure.get("value") is None:
        return "–"
    limits = f" ({100 * figure['low']:.1f} to {100 * figure['high']:.1f})" if figure.get("low") is not None else ""
    return f"{100 * figure['value']:.1f} %{limits}"


def _number(figure: Mapping[str, Any] | None) -> str:
    if not figure:
        return "–"
    limits = f" ({figure['low']:.2f} to {figure['high']:.2f})" if figure.get("low") is not None else ""
    return f"{figure['value']:.2f}{limits}"


def _difference(found: Mapping[str, Any]) -> list[str]:
    limits = "" if found["low"] is None else f" ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"
    return [
        found["row"], found["against"], f"{100 * found['value']:+.1f}{limits}",
        "–" if found["p"] is None else f"{found['p']:.3f}", *(str(found[key]) for key in ("n", "scenes", "seeds")),
    ]  # fmt: skip
