"""Data to learn from and to measure on: read, made from other formats, checked, described."""
