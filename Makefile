# nav_vlm: `make demo` and `make test` each do everything from a clean clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two test processes: each starts engines and ROS 2 nodes of its own. JOBS=8 make test, on a bigger machine.
JOBS ?= 2

.PHONY: help setup demo test lint gazebo clean

help:
	@echo "make setup   .venv with all dependencies, ROS 2 and the interfaces (part of demo and test)"
	@echo "make demo    the whole system in simulation; writes demo/"
	@echo "make test    lint and all tests"
	@echo "make lint    ruff and mypy"
	@echo "make gazebo  every world, and ten walks, in a real Gazebo Classic 11 (chroot, root); writes docs/results/gazebo.json"
	@echo "make clean   remove .venv and what was built; what you made in runs stays"

setup:
	@$(PYTHON) tools/setup_env.py

demo: setup
	@$(BIN)/nav-vlm demo

test: lint
	@$(BIN)/python -m pytest -n $(JOBS)

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/mypy

gazebo: setup
	@tools/gazebo_chroot.sh setup
	@NAV_VLM_GAZEBO_RESULTS=docs/results/gazebo.json $(BIN)/python -m pytest tests/gazebo_classic

clean:
	rm -rf $(VENV) build demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf ros2_ws/build ros2_ws/install ros2_ws/log
	rm -rf *.egg-info training/*.egg-info training/build ros2_ws/src/nav_vlm_sim/*.egg-info ros2_ws/src/nav_vlm_sim/build
	find nav_vlm_node training ros2_ws/src/nav_vlm_sim tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
