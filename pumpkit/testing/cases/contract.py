"""Contract: what a plugin is before it has written anything."""
