"""The durable log between applications and the runner: `base` says what a buffer is, `open_buffer` finds one by URL."""

from pumpkit.buffers.base import Buffer, Cursor, Delivery, Gap
from pumpkit.buffers.registry import open_buffer

__all__ = ["Buffer", "Cursor", "Delivery", "Gap", "open_buffer"]
