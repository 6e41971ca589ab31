"""The command `nav-vlm-train`. Each subcommand is a module in `commands`, imported only when it is chosen.

A subcommand module has `HELP`, `add_arguments(parser)` and `run(args) -> exit status`.
"""

from __future__ import annotations

import sys

from nav_vlm_node.command_line import CommandLine

# name -> module, and the sentence of `nav-vlm-train --help` (a test compares it with the module's HELP)
COMMANDS: dict[str, tuple[str, str]] = {
    "prepare": (
        "nav_vlm_training.commands.prepare",
        "make a data set from other people's questions and pictures",
    ),
    "check": (
        "nav_vlm_training.commands.check",
        "prove that no split of a data set leaks, or look through a folder of pictures",
    ),
    "label": (
        "nav_vlm_training.commands.label",
        "make Label Studio tasks in which people answer questions about pictures",
    ),
    "agreement": (
        "nav_vlm_training.commands.agreement",
        "how far the people agree who answered or rated in Label Studio",
    ),
    "rate": (
        "nav_vlm_training.commands.rate",
        "let people rate answers, and see which metric means what they mean",
    ),
    "evaluate": (
        "nav_vlm_training.commands.evaluate",
        "how right a model's answers are on a data set, beside baselines",
    ),
    "report": (
        "nav_vlm_training.commands.report",
        "write the reports of evaluations and sweeps again from what they kept; several evaluations side by side",
    ),
    "fit": (
        "nav_vlm_training.commands.fit",
        "train an adapter on a data set",
    ),
    "sweep": (
        "nav_vlm_training.commands.sweep",
        "many trainings from one YAML: variants, ranks, rates, augmentation; one table, one plot",
    ),
    "baseline": (
        "nav_vlm_training.commands.baseline",
        "tune another vision-language model on the same data with the same budget, and judge it",
    ),
    "merge": (
        "nav_vlm_training.commands.merge",
        "make one model of a base and an adapter, and score it again",
    ),
    "embedded": (
        "nav_vlm_training.commands.embedded",
        "make the model that comes with nav_vlm, from nothing",
    ),
    "card": (
        "nav_vlm_training.commands.card",
        "write the embedded model's card from what was recorded and measured",
    ),
}

_LINE = CommandLine("nav-vlm-train", "Data, adapters and metrics for nav_vlm.", COMMANDS)
parse_arguments, main = _LINE.parse, _LINE.main


if __name__ == "__main__":
    sys.exit(main())
