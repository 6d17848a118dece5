"""`pumpkit demo`: the whole way of a record, with the real parts, in a folder of its own.

`play` is the command, `records` what it records, `stage` its folder and its runner, `ledger` whether it all adds up.
"""

from pumpkit.cli.demo.play import command

__all__ = ["command"]
