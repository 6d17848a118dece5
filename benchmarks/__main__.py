"""`python -m benchmarks [NAMES] [--quick]`: measure, and print tables."""

import argparse
import time

from benchmarks import page
from benchmarks.catalogue import BENCHMARKS
from benchmarks.machine import Neighbours, description
from benchmarks.results import Result, load, save
from benchmarks.rounds import Size

FULL, QUICK = Size(7, 1.0), Size(2, 0.1)


def main() -> None:
    """Run what is asked for."""
    options = _options()
    size = QUICK if options.quick else FULL
    size = Size(options.rounds or size.rounds, options.scale or size.scale)
    machine = description()
    results = []
    for name in options.names or BENCHMARKS:
        began, neighbours = time.monotonic(), Neighbours()
        samples = BENCHMARKS[name].measure(size)
        result = Result(name, machine, size, round(neighbours.share(), 3), samples)
        results.append(result)
        print(f"## {BENCHMARKS[name].TITLE}\n\n{BENCHMARKS[name].report(samples)}\n")
        print(f"{result.circumstances()} It took {time.monotonic() - began:.0f} s.\n", flush=True)
    print(f"Measured on\n\n{results[0].on()}")
    if options.save:
        save(results)
        page.write(load())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition(": ")[2])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a first look: fewer rounds of less work, within a minute")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default: {FULL.rounds}")
    parser.add_argument("--scale", type=float, metavar="X", help="this part of the work in each round; default: 1")
    parser.add_argument("--save", action="store_true", help="keep the results, and write them into the documentation")
    options = parser.parse_args()
    if options.save and options.quick:
        parser.error("--save takes the full work: the documentation is to show figures that hold")
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    return options


if __name__ == "__main__":
    main()
