"""Data, adapters and metrics for nav_vlm."""
