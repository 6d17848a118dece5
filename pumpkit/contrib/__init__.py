"""Ready-made feeds and hooks for the frameworks and servers that people use. Each module stands by itself.

A module imports its framework only if it cannot do without, and of this package `checks` at most, but for feeds of HTTP
requests: `flask` builds on `wsgi`, and that, like `asgi`, on `web`.
"""
