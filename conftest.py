"""Plugins of the test run; the fixtures are in tests/conftest.py."""

pytest_plugins = ("tests.skip_policy",)
