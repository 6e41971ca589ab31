"""Bags answered again: `nav-vlm replay`. rosbag2 in sqlite3 and mcap by `rosbags`; no ROS needed.

bags -> topics -> questions -> looks (which frame) -> answers -> figures -> page
"""
