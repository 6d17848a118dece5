"""What pumpkit costs, beside the usual ways, as ratios: `python -m benchmarks` (`make bench`).

Every benchmark is one module: `TITLE`, `measure(size)`, which does the work and returns plain numbers, and
`report(samples)`, which makes tables and aims of such numbers, be they fresh or saved. Nothing here asserts a speed.
"""
