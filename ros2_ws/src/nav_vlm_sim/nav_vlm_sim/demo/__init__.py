"""`nav-vlm demo`: a simulated wearer asks questions, the real node answers over ROS 2, the truth is shown beside it.

cases     what is asked, and in which scenes
verdict   whether an answer was right, in words
shapes    what is drawn, as lines and areas; `pictures` and `svg` put it on paper
talk      what is printed
report    report.html
run       the whole; the ROS side is `nav_vlm_sim.ros.demo`
"""
