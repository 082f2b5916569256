"""Passes: functions from graphs to graphs. README.md beside this file is the way in."""
