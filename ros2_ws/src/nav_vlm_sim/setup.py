"""Installs the ROS 2 package `nav_vlm_sim`; what is not computed here is in setup.cfg."""

from setuptools import setup

setup(
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/nav_vlm_sim"]),
        ("share/nav_vlm_sim", ["package.xml"]),
    ],
    python_requires=">=3.10",  # here because colcon cannot read what setuptools makes of it in setup.cfg
)
