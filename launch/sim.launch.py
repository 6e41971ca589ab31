"""The simulated camera and nav_vlm: `ros2 launch nav_vlm sim.launch.py`; all arguments: `--show-args`.

Takes every argument of bringup.launch.py, and those of the simulators below. Somebody walks through a building, asks
and does what is said (docs/walks.md), and at the end of the walk all of it ends:

    ros2 launch nav_vlm sim.launch.py plan:=7

In Gazebo, in a world that `nav-vlm-sim gazebo` wrote (docs/gazebo.md):

    ros2 launch nav_vlm sim.launch.py simulator:=gazebo world:=office headless:=true
"""

from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetLaunchConfiguration,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription
from nav_vlm_node.errors import UserError
from nav_vlm_node.ros import bringup
from nav_vlm_node.ros.middleware import allow_large_images

SIMULATORS = ("mujoco", "gazebo")
CHOICES = {
    "headless": ("true", "false"),
    "lockstep": ("true", "false"),
    "walker": ("careful", "average", "hasty"),
}
GAZEBO = {
    "world": ("", "folder that nav-vlm-sim gazebo wrote; for gazebo"),
    "headless": ("false", "no window, and cameras without a display; for gazebo"),
}
CAMERA = {
    "seed": ("0", "which scene; for mujoco"),
    "hold_time": ("10.0", "seconds until the next place or scene; 0.0: stay; for mujoco"),
    "rate": ("10.0", "pictures a second; for mujoco"),
}
WALK = {
    "plan": ("", "a floor plan's YAML or the seed of a drawn one: somebody walks there; for mujoco"),
    "walk": ("0", "which of the plan's walks"),
    "walker": ("average", "careful, average or hasty; of a walk"),
    "lockstep": ("true", "time stands still while the guide thinks; false: the wearer walks on slowly; of a walk"),
}


def number(values: dict, name: str, kind: type = int) -> float:
    """The argument as a number. Raises UserError."""
    try:
        return kind(values[name])
    except ValueError:
        raise UserError(f"{name}:={values[name]}: give a number") from None


def walk(context: LaunchContext) -> list:
    """The rig, and who wears it. The walker's end is the launch's."""
    given = {name: LaunchConfiguration(name).perform(context) for name in (*WALK, "namespace")}
    seed = int(given["plan"]) if given["plan"].isdigit() else 0
    shared = {"plan": given["plan"], "seed": seed}
    own = {"walk": number(given, "walk"), "walker": given["walker"], "lockstep": given["lockstep"] == "true"}
    return [
        SetLaunchConfiguration("use_sim_time", "true"),
        *(
            Node(
                package="nav_vlm_sim",
                executable=executable,
                namespace=given["namespace"],
                # A plan that is a seed is still a string.
                parameters=[{**values, "plan": ParameterValue(given["plan"], value_type=str)}],
                output="screen",
                emulate_tty=True,
                on_exit=[Shutdown()],
            )
            for executable, values in (("sim_rig_node", shared), ("walker_node", {**shared, **own}))
        ),
    ]


def camera(context: LaunchContext) -> list:
    """The simulated camera, in the namespace of the rest."""
    values = {name: LaunchConfiguration(name).perform(context) for name in (*CAMERA, "namespace", "use_sim_time")}
    kinds = {"seed": int, "hold_time": float, "rate": float}
    parameters = {name: number(values, name, kind) for name, kind in kinds.items()}
    if values["use_sim_time"]:
        parameters["use_sim_time"] = values["use_sim_time"] == "true"
    return [
        Node(
            package="nav_vlm_sim",
            executable="sim_camera_node",
            namespace=values["namespace"],
            parameters=[parameters],
            output="screen",
            emulate_tty=True,
        )
    ]


def gazebo(context: LaunchContext) -> list:
    """Gazebo with the world, the bridge to ROS 2, and simulated time for all nodes that come after."""
    given = {name: LaunchConfiguration(name).perform(context) for name in (*GAZEBO, "namespace")}
    folder = Path(given["world"]).expanduser().absolute()
    for name in ("world.sdf", "bridge.yaml"):
        if not given["world"] or not (folder / name).is_file():
            raise UserError(
                f"world:={given['world']} has no {name}; write a world with nav-vlm-sim gazebo --seed 1 --out office, "
                "then world:=office"
            )
    headless = ["-s", "--headless-rendering"] if given["headless"] == "true" else []
    allow_large_images()  # the bridge publishes them, and its middleware decides what arrives
    return [
        SetLaunchConfiguration("use_sim_time", "true"),
        ExecuteProcess(
            cmd=["gz", "sim", "-r", *headless, str(folder / "world.sdf")],
            output="screen",
            sigterm_timeout="15",  # it ends a window and a server of its own, five seconds each
            on_exit=[Shutdown()],
        ),
        Node(
            package="ros_gz_bridge",
            executable="parameter_bridge",
            namespace=given["namespace"],
            parameters=[{"config_file": str(folder / "bridge.yaml"), "use_sim_time": True}],
            output="screen",
        ),
    ]


def simulation(context: LaunchContext) -> list:
    """The simulator that is asked for. A bad argument ends the launch with one line that says which."""
    chosen = LaunchConfiguration("simulator").perform(context)
    if chosen == "gazebo":
        return gazebo(context)
    return walk(context) if LaunchConfiguration("plan").perform(context) else camera(context)


def generate_launch_description() -> LaunchDescription:
    """Found by `ros2 launch`."""
    own = [
        DeclareLaunchArgument("simulator", default_value="mujoco", description="what draws", choices=SIMULATORS),
        *(
            DeclareLaunchArgument(name, default_value=default, description=description, choices=CHOICES.get(name))
            for name, (default, description) in (GAZEBO | CAMERA | WALK).items()
        ),
    ]
    shared = [
        DeclareLaunchArgument(
            argument.name,
            default_value="sim" if argument.name == "rig" else argument.default,
            description=argument.description,
            choices=argument.choices or None,
        )
        for argument in bringup.ARGUMENTS
    ]
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name("bringup.launch.py"))),
        launch_arguments=[(argument.name, LaunchConfiguration(argument.name)) for argument in bringup.ARGUMENTS],
    )
    return LaunchDescription([*own, *shared, OpaqueFunction(function=simulation), include])
