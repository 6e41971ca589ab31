"""Writes a floor plan for Gazebo: `nav-vlm-sim gazebo`.

world.sdf        the building, and the wearer where a walk begins
rig/             the wearer's rig alone, as a model for other worlds
bridge.yaml      what ros_gz_bridge carries (not for Gazebo Classic)
meshes/          what is no simple solid, and the pictures of signs
plan.json        the floor plan that all this was made from
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from nav_vlm_node.errors import UserError
from nav_vlm_sim import textures
from nav_vlm_sim.gazebo import meshes
from nav_vlm_sim.gazebo.bodies import SIGNS
from nav_vlm_sim.gazebo.bridge import bridge_yaml
from nav_vlm_sim.gazebo.elements import document
from nav_vlm_sim.gazebo.rig import Worn, rig_document
from nav_vlm_sim.gazebo.simulators import GZ, SIMULATORS, Simulator
from nav_vlm_sim.gazebo.solids import SPHERE_MESH, sign_mesh
from nav_vlm_sim.gazebo.world import world_document
from nav_vlm_sim.walks.building import build
from nav_vlm_sim.walks.floorplan import FloorPlan, plan_to_json

__all__ = ["GZ", "SIMULATORS", "Worn", "export", "files_of"]

WORLD, RIG, BRIDGE, PLAN = "world.sdf", "rig/model.sdf", "bridge.yaml", "plan.json"
_MODEL_CONFIG = """<?xml version="1.0"?>
<model>
 <name>wearer</name>
 <version>1.0</version>
 <sdf version="{sdf}">model.sdf</sdf>
 <description>Somebody who wears a camera, a depth camera and an IMU.</description>
</model>
"""


def export(
    plan: FloorPlan,
    out: Path,
    simulator: Simulator = GZ,
    *,
    worn: Worn | None = None,
    walk: int = 0,
    family: str = "train",
    silhouettes: bool = False,
) -> None:
    """Writes the folder `out`, whole or not at all. It must be new, or empty. Raises UserError.

    walk: of the plan, where the wearer stands. family: of the surfaces, as in `building.build`. silhouettes: see
    `world.world_document`.
    """  # fmt: skip
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is there already; give a new folder, or delete that one")
    if not 0 <= walk < max(1, len(plan.walks)):
        raise UserError(f"walk {walk}: the plan {plan.name!r} has {len(plan.walks)}, counted from 0")
    files = files_of(plan, simulator, worn=worn, walk=walk, family=family, silhouettes=silhouettes)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            for name, data in files.items():
                (draft / name).parent.mkdir(exist_ok=True)
                (draft / name).write_bytes(data)
            draft.chmod(0o755)
            os.replace(draft, out)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}; give another folder") from None


def files_of(
    plan: FloorPlan,
    simulator: Simulator = GZ,
    *,
    worn: Worn | None = None,
    walk: int = 0,
    family: str = "train",
    silhouettes: bool = False,
) -> dict[str, bytes]:
    """The folder's files by their paths; always the same for the same arguments."""  # fmt: skip
    worn = worn or Worn()
    building = build(plan, family)
    world = world_document(building, simulator, worn, walk=walk, silhouettes=silhouettes)
    texts = {
        WORLD: document(world), RIG: document(rig_document(simulator, worn)),
        "rig/model.config": _MODEL_CONFIG.format(sdf=simulator.sdf),
        PLAN: json.dumps(plan_to_json(plan), indent=1) + "\n",
    }  # fmt: skip
    if simulator is GZ:
        texts[BRIDGE] = bridge_yaml()
    uris = {element.text for element in world.iter("uri")}
    if SPHERE_MESH in uris:
        texts[SPHERE_MESH] = meshes.sphere_obj()
        texts["meshes/sphere.mtl"] = meshes.sphere_mtl()
    pictures = {}
    for material, picture in _pictures(plan).items():
        if sign_mesh(material) in uris:
            texts[sign_mesh(material)] = meshes.sign_obj(material)
            texts[f"meshes/{material}.mtl"] = meshes.sign_mtl(material, glow=0.0 if simulator.ogre2 else 0.3)
            pictures[f"meshes/{material}.png"] = textures.png(picture)
    return {name: text.encode() for name, text in texts.items()} | pictures


def _pictures(plan: FloorPlan) -> dict[str, textures.Image]:
    """The signs' pictures; their colours are the plan's own."""
    rng = np.random.default_rng([plan.seed, 808])
    pictures = {name: textures.exit_sign(rng, name.removeprefix("exit_")) for name in SIGNS if name != "toilet"}
    return pictures | {"toilet": textures.toilet_sign(rng)}
