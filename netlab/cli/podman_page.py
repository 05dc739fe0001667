"""What changes for whoever moves from Docker to Podman, generated: ``docs/docker-to-podman.md``.

``python -m netlab.cli.podman_page docs`` writes it from the scenarios in ``docs/docker-to-podman``: for each,
what ``netlab diff`` shows. The flows are predicted, so that the page can be made anywhere; a test measures
that labs agree.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.lab.load import load_scenario
from netlab.lab.temporary import predict_flows
from netlab.plan import make
from netlab.view import rich
from netlab.view.flow_diff import flow_lines

if TYPE_CHECKING:
    from netlab.journey.flow_diff import FlowDiff

#: The engines that are compared.
ENGINES = ("docker-28", "podman-5-nftables")
#: The scenarios, in the order of the page.
NAMES = ("published", "dual-stack", "networks", "ufw")
PREAMBLE = """\
# From Docker to Podman

<!-- Made by `python -m netlab.cli.podman_page docs` from the scenarios in docs/docker-to-podman. -->

What opens, what closes and whom servers see, if the containers of a host with `docker-28` are run by Podman
as root, with netavark's nftables driver (`podman-5-nftables`). Each part is a scenario and what this prints
of the flows that change (those that fail on both sides are left out):

```
netlab diff FILE --engine docker-28 --engine podman-5-nftables
```

To see it for your own project: the same, with your Compose file. `sender` is the origin's own address, an
address is what the server saw in its place. [Engines](engines.md#podman) tells how Podman works and what
netlab does not reproduce of it. An upgrade of Podman is the same question: `--engine podman-4 --engine
podman-5-nftables`.
"""


def markdown(folder: Path) -> str:
    """The whole page."""
    return PREAMBLE + "".join(_part(folder / f"{name}.yaml") for name in NAMES)


def compared(file: Path) -> FlowDiff:
    """The flows of one scenario on both engines, predicted."""
    return predict_flows([(name, make(load_scenario([file], engine=name))) for name in ENGINES])


def told(flows: FlowDiff) -> FlowDiff:
    """Without what fails before and after: it is of no concern to whoever moves."""
    return replace(flows, changes=tuple(one for one in flows.changes if one.kind != "otherwise"))


def _part(file: Path) -> str:
    title, prose, scenario = _read(file.read_text(encoding="utf-8"))
    parts = (
        f"## {title}",
        prose,
        f"```yaml\n{scenario}```",
        f"```\n{shown(compared(file))}\n```",
        f"[{file.name}](docker-to-podman/{file.name})",
    )
    return "\n" + "\n\n".join(parts) + "\n"


def _read(text: str) -> tuple[str, str, str]:
    """The title and the prose of the opening comment, and the scenario."""
    lines = text.splitlines(keepends=True)
    comment = [line[1:].strip() for line in lines if line.startswith("#")]
    title, _, *prose = comment
    scenario = "".join(line for line in lines if not line.startswith("#"))
    return title.rstrip("."), "\n".join(prose), scenario


def shown(flows: FlowDiff) -> str:
    """The changes as they are printed, one below the other, without the number of those that stay."""
    out = io.StringIO()
    console = rich.Console(file=out, width=10_000, no_color=True, force_terminal=False)
    for line in (*flow_lines(told(flows)),)[:-2]:
        console.print(line, soft_wrap=True)
    return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").splitlines())


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page into a folder of documents."""
    (docs,) = map(Path, sys.argv[1:] if arguments is None else arguments)
    page = docs / "docker-to-podman.md"
    page.write_text(markdown(docs / "docker-to-podman"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
