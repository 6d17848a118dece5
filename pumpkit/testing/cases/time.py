"""Time: deadlines, and what is left behind when they pass."""
