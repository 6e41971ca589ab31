"""The simulated camera and nav_vlm: `ros2 launch nav_vlm sim.launch.py`; all arguments: `--show-args`.

Takes every argument of bringup.launch.py, and those of the simulators below. In Gazebo, in a world that
`nav-vlm-sim gazebo` wrote (docs/gazebo.md):

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

from launch import LaunchContext, LaunchDescription
from nav_vlm_node.errors import UserError
from nav_vlm_node.ros import bringup

SIMULATORS = ("mujoco", "gazebo")
GAZEBO = {
    "world": ("", "folder that nav-vlm-sim gazebo wrote; for gazebo"),
    "headless": ("false", "no window, and cameras without a display; for gazebo"),
}
CAMERA = {
    "seed": ("0", "which scene; for mujoco"),
    "hold_time": ("10.0", "seconds until the next place or scene; 0.0: stay; for mujoco"),
    "rate": ("10.0", "pictures a second; for mujoco"),
}


def camera(context: LaunchContext) -> list:
    """The simulated camera, in the namespace of the rest."""
    values = {name: LaunchConfiguration(name).perform(context) for name in (*CAMERA, "namespace", "use_sim_time")}
    parameters = {"seed": int(values["seed"]), "hold_time": float(values["hold_time"]), "rate": float(values["rate"])}
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
    return [
        SetLaunchConfiguration("use_sim_time", "true"),
        ExecuteProcess(
            cmd=["gz", "sim", "-r", *headless, str(folder / "world.sdf")], output="screen", on_exit=[Shutdown()]
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
    return gazebo(context) if chosen == "gazebo" else camera(context)


def generate_launch_description() -> LaunchDescription:
    """Found by `ros2 launch`."""
    own = [
        DeclareLaunchArgument("simulator", default_value="mujoco", description="what draws", choices=SIMULATORS),
        *(
            DeclareLaunchArgument(name, default_value=default, description=description)
            for name, (default, description) in (GAZEBO | CAMERA).items()
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
