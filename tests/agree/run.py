"""``python -m agree.run``: random hosts and rules; every packet measured and predicted; differences shrunk.

::

    python -m agree.run --packets 300 --seed 7       # a share
    python -m agree.run --packets 1000000 --page docs/agree.md
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.runs import fewest, revision, save

import netlab
from agree.host import Group, Host
from agree.packets import questions
from agree.tally import RUNS, Count, page
from netlab.journey.expand import expand
from netlab.model.errors import NetlabError, UsageError
from netlab.model.flow import Flow
from netlab.model.journey import HookVisit, Journey
from netlab.model.problem import Position
from netlab.predict.compare import Difference, asked, first_difference
from netlab.predict.predictor import Predictor
from netlab.scenario.flow import parse_flow

#: packets of one host, besides those that exist in the other family, too
_FLOWS = 180
#: differences of one host that are looked at again and shrunk
_SHRUNK = 2


@dataclass(frozen=True)
class Different:
    """A flow of which prediction and kernel say different things."""

    flow: Flow
    what: Difference

    def __str__(self) -> str:
        return f"{self.flow} {self.flow.family.word}: {self.what}"


class Compared:
    """One host: a lab of it, and predictions from its plan. Raises NetlabError if it cannot be."""

    def __init__(self, host: Host, texts: Sequence[str], count: Count | None = None) -> None:
        """Ask all flows; ``found`` are those that differ, also when asked alone."""
        self._count = count if count is not None else Count()
        with tempfile.TemporaryDirectory() as folder:
            file = host.write(Path(folder))
            plan = netlab.load_plan([file])
            flows: list[Flow] = []
            for text in texts:
                try:
                    flows += expand(parse_flow(text, Position("flow", 1, 1)), plan)
                except UsageError:
                    continue  # no address of that family, or the node has none there
            self._predictor = Predictor.of(plan)
            with netlab.Lab(file) as lab:
                pairs = zip(flows, lab._measured(flows, {}), strict=True)
                first = [self._compared(*pair, self._count) for pair in pairs]
                self.found = self._again(lab, [one for one in first if one is not None])

    def _again(self, lab: netlab.Lab, found: Sequence[Different]) -> list[Different]:
        """One difference of each kind is asked again, alone: only kinds that are seen again count."""
        kinds: dict[str, bool] = {}
        for one in found:
            if one.what.place not in kinds:
                (again,) = lab._measured([one.flow], {})
                kinds[one.what.place] = self._compared(one.flow, again, Count()) is not None
        self._count.once += [str(one) for one in found if not kinds[one.what.place]]
        return [one for one in found if kinds[one.what.place]]

    def _compared(self, flow: Flow, measured: Journey, count: Count) -> Different | None:
        predicted = self._predictor.journey(asked(flow, measured))
        count.packets += 1
        count.by_hand += flow.via is not None
        count.ipv6 += int(flow.family) == 6
        count.outcomes[measured.outcome] += 1
        count.unmeasured += measured.outcome == "unmeasured"
        count.unpredicted += predicted.outcome == "unpredicted"
        if measured.outcome == "unmeasured" or predicted.outcome == "unpredicted":
            return None
        visits = _visits(measured)
        count.hooks += len(visits)
        count.rules += sum(len(visit.rules) for visit in visits)
        difference = first_difference(predicted, measured)
        if difference is None:
            return None
        if _no_neighbour(measured, visits):
            # Rules that drop neighbour discovery: a prediction takes it for granted (docs/exposure.md).
            count.undiscovered += 1
            return None
        return Different(flow, difference)


def _visits(journey: Journey) -> list[HookVisit]:
    legs = (*journey.legs, *journey.replies)
    return [*(visit for leg in legs for visit in leg.hooks), *journey.switched]


def _no_neighbour(measured: Journey, visits: Sequence[HookVisit]) -> bool:
    """Whether an IPv6 packet may have found no neighbour: it was lost, and no rule dropped it itself."""
    if measured.flow.family != "ipv6" or measured.outcome not in ("timeout", "unreachable", "closed"):
        return False
    decided = measured.decided_by
    if decided.kind in ("none", "unmeasured"):
        return True
    return decided.direction == "original" and decided.packet not in [visit.packet for visit in visits]


def shrunk(host: Host, flow: str) -> Host:
    """The host with as few groups of rules as still show a difference for this flow."""

    def fails(groups: Sequence[Group]) -> bool:
        try:
            return bool(Compared(host.of(groups), [flow]).found)
        except NetlabError:
            return False

    return host.of(fewest(host.groups, fails))


def one_host(chance: random.Random, name: str, count: Count, most: int) -> None:
    """Try one random host."""
    host = Host.at_random(chance)
    texts = questions(chance, min(_FLOWS, most))
    try:
        compared = Compared(host, texts, count)
    except NetlabError as error:
        count.refused += 1
        print(f"refused: {error}", file=sys.stderr)
        return
    count.hosts += 1
    count.engines[host.engine] += 1
    kinds: set[str] = set()
    for one in compared.found:
        if one.what.place in kinds or len(kinds) >= _SHRUNK:
            count.differ.append(f"{name}: {one}")
            continue
        kinds.add(one.what.place)
        text = f"{one.flow}"
        count.differ.append(f"{name}: {one} [{shrunk(host, text)}]")
        print("DIFFER", count.differ[-1], flush=True)


def run(
    count: Count, packets: int, until: float, keep: Path | None = None, shown: Path | None = None
) -> None:
    """Try random hosts until so many packets were compared, or no time is left."""
    number = 0
    while count.packets < packets and time.monotonic() < until:
        name = f"{count.seed}/{number}"
        one_host(random.Random(name), name, count, packets)
        number += 1
        print(f"{count.packets} packets on {count.hosts} hosts, {len(count.differ)} differ", flush=True)
        runs = [count] if keep is None else save(count, keep)
        if shown is not None:
            shown.write_text(page(runs))


def main() -> int:
    """Returns 1 if prediction and kernel differ anywhere."""
    parser = argparse.ArgumentParser(prog="agree", description=__doc__)
    parser.add_argument("--packets", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=None, help="where the counts are kept and added up")
    parser.add_argument("--page", type=Path, default=None, help="the page of all runs of --runs")
    args = parser.parse_args()
    count = Count(args.seed, revision())
    keep = args.runs or (RUNS if args.page else None)
    run(count, args.packets, time.monotonic() + args.seconds, keep, args.page)
    print(count.words())
    return 1 if count.differ else 0


if __name__ == "__main__":
    sys.exit(main())
