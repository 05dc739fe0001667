"""``python -m netlab.bench``: run the benchmarks, and print one table of ratios against their goals."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from netlab.bench import (
    bringup,
    docker,
    exposure,
    floor,
    growth,
    isolation,
    matrix,
    mininet,
    netlink,
    proxy,
    ready,
    rules,
    startup,
    suite,
    sweeps,
    teardown,
    trace,
)
from netlab.bench.against import lines, read
from netlab.bench.frame import Effort, Result, table
from netlab.model.errors import MachineError, NothingTested, Unmeasured, UsageError

SCHEMA_VERSION = 1


#: Every benchmark by name; each has ``run(effort)``.
BENCHMARKS = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        bringup,
        docker,
        exposure,
        floor,
        growth,
        isolation,
        matrix,
        mininet,
        netlink,
        proxy,
        ready,
        rules,
        startup,
        suite,
        sweeps,
        teardown,
        trace,
    )
}


def chosen(wanted: Sequence[str]) -> list[str]:
    """The benchmarks to run: those named, or all; raises UsageError on an unknown name."""
    there = list(BENCHMARKS)
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise UsageError(f"no benchmark {', '.join(unknown)}; there are: {', '.join(there)}")
    return list(wanted) or there


def measure(names: Sequence[str], effort: Effort) -> tuple[list[Result], dict[str, str]]:
    """Run each: the results, and why the others could not be measured."""
    results: list[Result] = []
    unmeasured: dict[str, str] = {}
    for name in names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        start = time.monotonic()
        try:
            for result in BENCHMARKS[name].run(effort):
                results.append(result)
                print(f"  {result.name}: {result.ratio:.2f}, goal {result.goal}", file=sys.stderr, flush=True)
        except (MachineError, Unmeasured) as error:
            unmeasured[name] = str(error)
            print(f"  not measured: {error}", file=sys.stderr, flush=True)
        print(f"  took {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return results, unmeasured


def document(results: Sequence[Result], unmeasured: dict[str, str]) -> dict[str, object]:
    """The run as JSON: results with ``goal`` as text and ``met``, and the machine for orientation."""
    return {
        "schema_version": SCHEMA_VERSION,
        "machine": {
            "kernel": platform.release(),
            "python": platform.python_version(),
            "processors": os.cpu_count(),
        },
        "results": [{**asdict(r), "goal": str(r.goal), "met": r.met} for r in results],
        "unmeasured": unmeasured,
    }


def exit_code(results: Sequence[Result], unmeasured: dict[str, str]) -> int:
    """1 if a goal was missed, or else 3 if something was not measured, or else 5 if nothing ran, or else
    0.
    """
    if not all(result.met for result in results):
        return 1
    if unmeasured:
        return Unmeasured.exit_code
    return 0 if results else NothingTested.exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m netlab.bench", description=__doc__)
    parser.add_argument("benchmark", nargs="*", help="only these (default: all)")
    parser.add_argument("--quick", action="store_true", help="small sizes and fewer rounds")
    parser.add_argument("--seconds", type=float, default=60.0, help="time for each comparison (default: 60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="print the ratios beside those of an earlier --json, and end with 0 whatever they are",
    )
    parser.add_argument("--list", action="store_true", help="show the benchmarks and stop")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(BENCHMARKS))
        return 0
    effort = Effort(rounds=3 if options.quick else 7, seconds=options.seconds, quick=options.quick)
    try:
        before = read(options.against) if options.against else None
        results, unmeasured = measure(chosen(options.benchmark), effort)
    except UsageError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if results:
        print("\n".join(table(results) if before is None else lines(results, before)))
    for name, why in unmeasured.items():
        print(f"{name}: not measured: {why}")
    if options.json:
        options.json.write_text(json.dumps(document(results, unmeasured), indent=2) + "\n")
    return exit_code(results, unmeasured) if before is None else 0


if __name__ == "__main__":
    sys.exit(main())
