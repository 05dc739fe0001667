"""The results of a whole run as a page: which configuration of which daemon equals netlab's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from groundtruth.compare import Chance, Departure


@dataclass(frozen=True, slots=True)
class Result:
    """One configuration of one daemon: what was compared, and how many sections differed."""

    test: str
    engine: str
    version: str
    scenario: str
    claim: str
    compared: Mapping[str, int]  #: ``plan``, ``lab``, ``flows`` -> how many lines were compared
    differing: Sequence[str]  #: ``lab links``: what was not
    failed: bool
    used: Sequence[str]  #: departures and chances without which it would have failed

    @property
    def key(self) -> tuple[str, str, str]:
        """What a later result takes the place of."""
        return self.test, self.engine, self.scenario


def remembered(file: Path) -> list[Result]:
    """The results that earlier runs left in a file, which need not be there."""
    return [Result(**entry) for entry in json.loads(file.read_text())] if file.exists() else []


def remember(file: Path, results: Iterable[Result]) -> None:
    """Leave results for later runs."""
    file.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


HEAD = """# Conformance

<!-- Written by `nox -s conformance -- --conformance-all --conformance-report FILE`; do not edit. -->

Each configuration was given to a real daemon, in a network namespace of its own, and to netlab; then
`iptables-save`, `ip6tables-save`, native nftables tables, listening sockets, docker-proxy's command lines,
every setting below `/proc/sys/net`, links, addresses, routes and bridge port flags of the host and of each
container were compared, and the matrix of flows (`NAME-flows`): outcome, source address that the server saw,
hooks, addresses, rules and verdicts in order, measured on both sides with one instrument. *plan* is what
`netlab plan` says, *lab* the living host. *Equal* means: all of these lines are the same, but for the
departures below. Each `refusal-…` is a Compose file that was given to the real `docker compose` as well:
where the daemon, or Compose, refuses it, netlab does so too, and otherwise not
(`tests/conformance/refusals.toml`).

## How to run it

`sudo .venv/bin/nox -s conformance` compares the machine's own daemon with everything, and the daemons of the
other Debian suites (12, 13, unstable) with a selection: each thing that generations do differently, once
(`tests/conformance/selection.toml` lists it, with why). So continuous integration sees every generation
that can be had, and ends within ten minutes on two cores; nothing is ever compared less strictly.
`--conformance-all` compares everything with all of them, which takes half an hour; this page is of that.

It needs root, a dockerd (Debian's `docker.io`), `busybox-static`, `ufw` and `nftables`, all of which
`./install --dev` brings, and `debootstrap` for the daemons of other suites, one of which comes with Compose.
Those are made at the first run, about 500 MB each, and kept in `$NETLAB_CONFORMANCE_CACHE`
(`/var/cache/netlab-conformance`). A daemon that cannot be had is named at the end of the run, in red; without
any dockerd nothing is collected and the exit code is 5, which is neither a pass nor a fail.

| what follows `nox -s conformance --` | |
|---|---|
| `-k 'ports and not proxy'` | some configurations only |
| `--conformance-engine docker-28` | that daemon only, and everything; repeatable |
| `--conformance-all` | everything with every daemon that is there |
| `--conformance-random N --conformance-seed S` | N random ones, too (`-k random`: only they) |
| `--conformance-report FILE` | writes this page |
| `--conformance-results FILE` | adds the results to FILE; the page is made of all of them |

`sudo python3 tests/conformance/groundtruth/daemons.py make [SUITE…]` makes the daemons by itself.

## Results

"""

CHANCES = """
## Left to chance by the daemon

Here the daemon may try again, and must once do exactly what netlab always does.

| what | configurations | tries | why |
|---|---|---|---|"""


def page(results: Sequence[Result], allowed: Sequence[Departure], chances: Sequence[Chance]) -> str:
    """The page, the same for the same results."""
    used = {name for result in results for name in result.used}
    engines = sorted(
        {(r.engine, r.version) for r in results}, key=lambda e: [int(x) for x in e[1].split(".")]
    )
    out = [HEAD]
    out.append("| configuration | " + " | ".join(f"{e} ({v})" for e, v in engines) + " |")
    out.append("|---|" + "---|" * len(engines))
    by = {(r.scenario, r.engine): r for r in results}
    for scenario in sorted({r.scenario for r in results}):
        claim = next(r.claim for r in results if r.scenario == scenario)
        cells = [_cell(by.get((scenario, engine))) for engine, _ in engines]
        out.append(f"| `{scenario}`: {claim} | " + " | ".join(cells) + " |")
    totals = [
        f"{sum(not r.failed for r in results if r.engine == e)} of {sum(r.engine == e for r in results)}"
        for e, _ in engines
    ]
    out.append("| **equal** | " + " | ".join(totals) + " |")
    out.append("\n## Allowed departures\n\n| departure | kind | where | why |\n|---|---|---|---|")
    out += [f"| {d.name} | {d.kind} | {d.section} | {d.why} |" for d in allowed if d.name in used]
    out.append(CHANCES)
    out += [
        f"| {c.name} | {', '.join(f'`{name}`' for name in c.scenarios)} | {c.tries} | {c.why} |"
        for c in chances
        if c.name in used
    ]
    return "\n".join(out) + "\n"


def _cell(result: Result | None) -> str:
    if result is None:
        return "–"
    if result.failed:
        return "**differs**: " + (", ".join(result.differing) or "an error")
    if "accepted" in result.compared:
        return "equal (both accept)"
    extent = [
        f"{count} flows" if word == "flows" else f"{word} {count} lines"
        for word, count in result.compared.items()
        if word != "refused"
    ]
    return f"equal ({', '.join(extent) or 'both refuse'})"
