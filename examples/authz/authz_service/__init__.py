"""A small authorization service that records its decisions."""
