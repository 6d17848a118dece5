"""`python -m pumpkit` is `pumpkit`."""

from pumpkit.cli import main

main()
