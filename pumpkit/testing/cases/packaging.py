"""Packaging: what a sink's distribution says of itself."""
