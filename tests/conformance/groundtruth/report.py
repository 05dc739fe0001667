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

Each configuration ran on a real daemon, in its own network namespace, and on netlab. Then these were
compared: `iptables-save`, `ip6tables-save`, native nftables tables, listening sockets, docker-proxy's command
lines, every setting below `/proc/sys/net`, links, addresses, routes and bridge port flags of the host and of
each container, and the matrix of flows (`NAME-flows`): outcome, source address that the server saw, hooks,
addresses, rules and verdicts in order, measured on both sides with the same instrument. *plan* is what
`netlab plan` prints, *lab* is the running host. *Equal* means that all these lines are the same, except for
the departures below. In each `foreign-…`, others change the host between events (flush, duplicate or move
rules, delete chains, change policies and settings): after each event, the daemon's host and the lab's must
have the same rules and running containers, and both must have failed, or neither. Each `refusal-…` is a
Compose file that the real `docker compose` got, too: netlab must refuse it if the daemon or Compose does, and
otherwise accept it (`tests/conformance/refusals.toml`).

## How to run it

`sudo .venv/bin/nox -s conformance` compares everything with your machine's own daemon, and a selection with
the daemons of the other Debian suites (12, 13, unstable): each difference between generations, once
(`tests/conformance/selection.toml` lists them with the reasons). So continuous integration covers all
generations that are available and takes less than ten minutes on two cores. The comparison is equally strict
everywhere. `--conformance-all` compares everything with all daemons, which takes an hour; this page has the
newest result of each, from such runs.

It needs root, a dockerd (Debian's `docker.io`), `busybox-static`, `ufw` and `nftables`, all of which
`./install --dev` installs, and `debootstrap` for the daemons of other suites, one of which has Compose. The
first run creates these, about 500 MB each, and keeps them in `$NETLAB_CONFORMANCE_CACHE`
(`/var/cache/netlab-conformance`). If a daemon is not available, the end of the run names it in red; without
any dockerd, nothing is collected and the exit code is 5, which is neither a pass nor a fail.

A real Podman of the machine's (Debian's `podman`, `netavark`, `aardvark-dns`, `conmon` and `crun`, which
`./install --dev` installs, too) is compared in the same way with `podman-4` or both engines of Podman 5:
a selection, and everything with `--conformance-all`, which also takes those of Debian 13 (5.4.2) and unstable
(5.8.6), once `python3 tests/conformance/groundtruth/daemons.py podman` has made their roots
(`tests/conformance/test_podman.py`; `tests/conformance/podman` holds the scenarios that are not recordings).
Its results are not on this page.

| options of `nox -s conformance --` | |
|---|---|
| `-k 'ports and not proxy'` | only some configurations |
| `--conformance-engine docker-28` | only that daemon, with all configurations; repeatable |
| `--conformance-all` | all configurations with every available daemon |
| `--conformance-random N --conformance-seed S` | also N random configurations (`-k random`: only these) |
| `--conformance-report FILE` | write this page |
| `--conformance-results FILE` | add the results to FILE; the page shows all results in it |

`sudo python3 tests/conformance/groundtruth/daemons.py make [SUITE…]` only creates the daemons.

## Results

"""

CHANCES = """
## What the daemon leaves to chance

Here the daemon may try again; it must do exactly what netlab always does at least once.

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
