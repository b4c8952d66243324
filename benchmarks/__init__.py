"""Measurements of the project, and beside others. See README.md."""
