"""Ready-made feeds and hooks for the frameworks and servers that people use. Each module stands by itself.

A module imports its framework only if it cannot do without, and never another module of this package.
"""
