"""What commands say of remarks: one line each, but never a flood."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from nav_vlm_training.data.reading import Remark

MOST = 20  # lines; the rest are counted


def print_remarks(remarks: Sequence[Remark], kept_in: str = "") -> None:
    """On stderr, what was left out first. kept_in: where all of them can be read."""
    ordered = sorted(remarks, key=lambda remark: not remark.left_out)
    for remark in ordered[:MOST]:
        print(remark, file=sys.stderr)
    if len(ordered) > MOST:
        where = f"; all are in {kept_in}" if kept_in else ""
        print(f"and {len(ordered) - MOST} more{where}", file=sys.stderr)
