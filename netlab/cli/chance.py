"""``--choice all``: every way in which what an engine leaves to chance can come out, as a variant."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

from netlab.cli.scenarios import Files, read_group
from netlab.model.errors import UsageError
from netlab.plan.choices import ALL, SEED, ways

#: Of more ways than that nobody reads the result.
MOST = 64
Variant = tuple[str, argparse.Namespace]


def every_way(variants: Iterable[Variant], files: Files) -> Iterator[Variant]:
    """The variants, with one for each way in the place of ``--choice all``; raises UsageError for too many.

    A variant that refuses its scenario stays one: whoever reads it finds the refusal.
    """
    for label, args in variants:
        if args.choice != ALL:
            yield label, args
            continue
        try:
            count = ways(read_group(_with(args, None), files))
        except UsageError:
            count = 1
        if count > MOST:
            raise UsageError(
                f"--choice all: what is left to chance can come out in {count} ways, and {MOST} are the most"
                f" that are tried: name some (--choice 1 --choice 2), or draw one (--choice {SEED}WORD)"
            )
        for number in range(1, count + 1):
            words = f"choice {number}" if count > 1 else ""
            yield " ".join(filter(None, (label, words))), _with(args, str(number) if count > 1 else None)


def _with(args: argparse.Namespace, choice: str | None) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(args), "choice": choice})
