"""What an evaluation walks with, by content: whether a path still holds what it held."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nav_vlm_node.errors import UserError
from nav_vlm_node.paths import embedded_model
from nav_vlm_node.vlm.card import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CARD,
    model_sha256,
    read_adapter_card,
    read_model_card,
)
from nav_vlm_sim.walks.guides import LOOKING

if TYPE_CHECKING:
    from nav_vlm_sim.walks.evaluate import Settings

OF_MODEL = ("model_sha256", "adapter_sha256")


def contents_of(settings: Settings) -> dict[str, Any]:
    """sha256 of every plan, and, where a guide looks, of the model and the adapter that it looks with, "" for none.

    Raises UserError for what is missing.
    """
    found: dict[str, Any] = {"plan_sha256": [_of_plan(Path(path)) for path in settings.plans]}
    if not LOOKING & set(settings.guides):
        return found
    model = read_model_card(Path(settings.model) if settings.model else embedded_model())
    card = (model.directory / CARD,) if (model.directory / CARD).is_file() else ()
    found["model_sha256"] = model_sha256((*model.weights, model.directory / "config.json", *card))
    name = model.default_adapter if settings.adapter == "default" else settings.adapter
    adapter = read_adapter_card(model.adapters.get(name, Path(name))).directory if name else None
    files = [] if adapter is None else [adapter / part for part in (ADAPTER_WEIGHTS, ADAPTER_CONFIG, CARD)]
    found["adapter_sha256"] = model_sha256(tuple(files)) if files else ""
    return found


def _of_plan(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; give the YAML of a floor plan") from None
