"""The exported folder: whole or not there, always the same, and the command line that writes it."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import yaml

from nav_vlm_node.errors import UserError
from nav_vlm_sim import cli
from nav_vlm_sim.gazebo import bridge
from nav_vlm_sim.gazebo.bodies import bodies, silhouette_colour
from nav_vlm_sim.gazebo.export import BRIDGE, PLAN, RIG, WORLD, export, files_of
from nav_vlm_sim.gazebo.simulators import CLASSIC, GZ, WEARER
from nav_vlm_sim.gazebo.world import BACKGROUND
from nav_vlm_sim.walks.building import build
from nav_vlm_sim.walks.floorplan import FloorPlan, plan_from_json
from nav_vlm_sim.walks.procedural import plan_of
from tests.nav_vlm_sim.pictures import picture

SMALL = """
name: two rooms
rooms:
  - {name: corridor, x: [0, 8], y: [0, 2.2]}
  - {name: office, x: [0, 5], y: [2.4, 6.4]}
walls:
  - {kind: open door, room: office, wall: south, at: 2.5, to: corridor}
  - {kind: exit, room: corridor, wall: east, at: 1.1}
  - {kind: exit sign, room: corridor, wall: south, at: 2.5, arrow: left}
things:
  - {kind: plant, x: 1.2, y: 5.5}
walks:
  - {x: 3.0, y: 4.5, yaw: -90, goal: exit, class: B}
"""


@pytest.fixture(scope="module")
def plan() -> FloorPlan:
    return plan_from_json(yaml.safe_load(SMALL))


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_has_what_the_world_names(plan: FloorPlan, tmp_path: Path) -> None:
    for simulator in (GZ, CLASSIC):
        out = tmp_path / simulator.name
        export(plan, out, simulator)
        written = files_in(out)
        assert written == files_of(plan, simulator)
        assert {WORLD, RIG, PLAN, "rig/model.config"} <= set(written)
        assert (BRIDGE in written) == (simulator is GZ)
        uris = {uri.text for uri in ET.fromstring(written[WORLD]).iter("uri")}
        assert {"meshes/exit_.obj", "meshes/exit_left.obj"} <= uris <= set(written)
        assert ("meshes/sphere.obj" in uris) == (simulator is CLASSIC)
        for name in [name for name in written if name.endswith((".obj", ".mtl"))]:
            for line in written[name].decode().splitlines():
                if line.startswith(("mtllib ", "map_Kd ")):
                    assert "meshes/" + line.split()[1] in written
        assert picture(out / "meshes/exit_left.png").shape == (64, 160, 3)
        assert plan_from_json(json.loads(written[PLAN])) == plan


def test_the_meshes_are_closed(plan: FloorPlan) -> None:
    files = files_of(plan, CLASSIC)
    for name in ("meshes/sphere.obj", "meshes/exit_.obj"):
        points, edges = 0, []
        for line in files[name].decode().splitlines():
            if line.startswith("v "):
                points += 1
            if line.startswith("f "):
                corners = [int(word.split("/")[0]) for word in line.split()[1:]]
                edges += list(zip(corners, corners[1:] + corners[:1], strict=True))
        assert all(1 <= corner <= points for edge in edges for corner in edge)
        poles = range(1, 49), range(points - 47, points + 1)  # a pole is one point, written once for each slice
        merged = [tuple(next((-k for k, pole in enumerate(poles, 1) if c in pole), c) if "sphere" in name else c
                        for c in edge) for edge in edges]  # fmt: skip
        assert len(set(merged)) == len(merged)
        assert {(b, a) for a, b in merged} == set(merged)


def test_silhouettes_show_every_item_in_its_colour(plan: FloorPlan) -> None:
    building = build(plan)
    world = ET.fromstring(files_of(plan, GZ, silhouettes=True)[WORLD])
    assert not list(world.iter("light"))
    by_name = {model.attrib["name"]: model for model in world.iter("model")}
    for body in bodies(building):
        wanted = GZ.shade(value / 255 for value in silhouette_colour(body.item))
        shown = {text.text for text in by_name[body.name].iter("emissive") if text.text}
        assert len(shown) == 1
        assert [float(word) for word in shown.pop().split()] == pytest.approx([*wanted, 1.0])
        assert {"0 0 0 1"} == {each.text for each in by_name[body.name].iter("diffuse")}


def test_the_wearer_carries_the_light_at_mujocos_camera(plan: FloorPlan) -> None:
    for simulator in (GZ, CLASSIC):
        files = files_of(plan, simulator)
        (light,) = ET.fromstring(files[WORLD]).findall(f".//model[@name='{WEARER}']/link/light")
        level = simulator.brightness(near=build(plan).scene.headlight)
        assert [float(value) for value in (light.findtext("diffuse") or "").split()] == pytest.approx([*[level] * 3, 1])
        assert not list(ET.fromstring(files[RIG]).iter("light")), "other worlds have their own light"
        assert not list(ET.fromstring(files_of(plan, simulator, silhouettes=True)[WORLD]).iter("light"))


def displayed(linear: float) -> int:
    """What a picture has, 0..255, of a linear value that was encoded as sRGB (IEC 61966-2-1)."""
    return round(255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055))


def test_silhouettes_come_out_of_a_picture_in_srgb_as_they_were_meant() -> None:
    levels = range(256)
    assert [displayed(value) for value in GZ.shade(level / 255 for level in levels)] == list(levels)
    assert CLASSIC.shade((0.25, 0.5)) == (0.25, 0.5)
    world = ET.fromstring(files_of(plan_of(1), GZ, silhouettes=True)[WORLD])
    background = [float(word) for word in (world.findtext(".//scene/background") or "").split()]
    assert tuple(displayed(value) for value in background[:3]) == BACKGROUND


def test_ogre_2_has_the_ambient_light_and_half_of_what_is_near() -> None:
    """It divides the one by pi, and doubles the other (gz-rendering 8)."""
    assert GZ.brightness(ambient=0.2) == pytest.approx(0.2 * math.pi)
    assert GZ.brightness(ambient=0.5) == 1.0, "a colour of SDF is no more"
    assert GZ.brightness(near=0.5) == 0.25
    assert CLASSIC.brightness(ambient=0.2) == CLASSIC.brightness(near=0.2) == 0.2


def test_a_lamp_lights_what_is_in_its_cone(plan: FloorPlan) -> None:
    """Ogre 2 finds out what a lamp reaches by the tangent of half its angle, in single precision."""
    for simulator in (GZ, CLASSIC):
        angles = list(ET.fromstring(files_of(plan, simulator)[WORLD]).iter("outer_angle"))
        assert len(angles) >= 2
        for angle in angles:
            half = np.float32(angle.text) * np.float32(0.5)
            assert 20 < np.tan(half, dtype=np.float32) < 1000


def test_signs_keep_their_black_where_their_own_light_is_added_everywhere(plan: FloorPlan) -> None:
    assert b"Ke 0 0 0\n" in files_of(plan, GZ)["meshes/exit_left.mtl"]
    assert b"Ke 0.3 0.3 0.3\n" in files_of(plan, CLASSIC)["meshes/exit_left.mtl"]


def test_the_wearer_stays_upright_and_slides_along_walls(plan: FloorPlan) -> None:
    """What Gazebo sets is a velocity along the body's own axes, so a body that toppled would leave the floor."""
    for simulator in (GZ, CLASSIC):
        (body,) = ET.fromstring(files_of(plan, simulator)[RIG]).findall(".//link[@name='base_link']")
        for name in ("ixx", "iyy", "izz"):
            assert float(body.findtext(f"inertial/inertia/{name}") or 0) > 1e5
        friction = body.find("collision/surface/friction/ode")
        assert friction is not None
        assert [child.text for child in friction] == ["0", "0"]


def test_where_the_wearer_faces_is_told_from_east(plan: FloorPlan) -> None:
    """Else Gazebo's IMU tells it from where the wearer faced at the start."""
    imu = ET.fromstring(files_of(plan, GZ)[RIG]).find(".//sensor[@type='imu']")
    assert imu is not None
    assert imu.findtext("imu/orientation_reference_frame/localization") == "ENU"


def test_the_bridge_carries_what_the_rig_has_and_the_node_takes(plan: FloorPlan) -> None:
    files = files_of(plan, GZ)
    entries = yaml.safe_load(files[BRIDGE])
    assert len(entries) == len(bridge.TOPICS)
    by_gz = {entry["gz_topic_name"]: entry for entry in entries}
    model = next(each for each in ET.fromstring(files[WORLD]).iter("model") if each.attrib["name"] == WEARER)
    sensors = {f"/{topic.text}" for topic in model.iter("topic") if topic.text}
    named = {f"/{text.text}" for tag in ("odom_topic", "camera_info_topic") for text in model.iter(tag)}
    assert sensors | named <= set(by_gz)
    ours = {"image", "camera_info", "depth", "imu", "odom"}
    assert ours <= {entry["ros_topic_name"] for entry in entries if entry["direction"] == "GZ_TO_ROS"}
    assert by_gz[f"/{WEARER}/cmd_vel"]["direction"] == "ROS_TO_GZ"
    assert {entry["ros_topic_name"] for entry in entries if entry["ros_topic_name"].startswith("/")} == {"/clock"}


def test_a_folder_in_use_is_left_alone(plan: FloorPlan, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/mine").write_text("x")
    with pytest.raises(UserError, match="is there already"):
        export(plan, tmp_path / "w")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot write"):
        export(plan, tmp_path / "file" / "w")
    with pytest.raises(UserError, match="has 1, counted from 0"):
        export(plan, tmp_path / "new", walk=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "w"]
    assert list((tmp_path / "w").iterdir()) == [tmp_path / "w/mine"]


def test_the_command_writes_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "two.yaml"
    source.write_text(SMALL, encoding="utf-8")
    assert cli.main(["gazebo", str(source), "--out", str(tmp_path / "w"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["world"] == str(tmp_path / "w" / WORLD)
    assert told["bridge"] == str(tmp_path / "w" / BRIDGE)
    assert files_in(tmp_path / "w") == files_of(plan_from_json(yaml.safe_load(SMALL)), GZ)


def test_the_command_draws_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["gazebo", "--seed", "1", "--kind", "home", "--simulator", "classic", "--walk", "1", "--silhouettes"]
    assert cli.main([*words, "--out", str(tmp_path / "w")]) == 0
    assert "start it: cd " in capsys.readouterr().out
    assert files_in(tmp_path / "w") == files_of(plan_of(1, "home"), CLASSIC, walk=1, silhouettes=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give the YAML of a floor plan, or --seed"),
        (["a.yaml", "--seed", "1"], "one of the two"),
        (["--seed", "-1"], "give a whole number"),
        (["a.yaml", "--kind", "office"], "--kind is for plans that are drawn"),
        (["--seed", "1", "--kind", "castle"], "no buildings of kind 'castle'"),
        (["--seed", "1", "--walk", "99"], "walk 99"),
        (["no.yaml"], "no.yaml: No such file or directory; give the YAML of a floor plan"),
        (["--seed", "1", "--simulator", "webots"], "invalid choice"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["gazebo", *words, "--out", str(tmp_path / "w")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
