"""The pictures of the site, drawn by netlab from the seed: its topology, and journeys measured in labs."""

from __future__ import annotations

from pathlib import Path

import netlab
from netlab.view import path

SCENARIOS = Path(__file__).parents[2] / "scenarios"
FLOW = "client -> host:80/tcp"

#: Picture → the page that has it and the line below which it stands.
PLACES = {
    "topology": ("scenario", "# The scenario language"),
    "both-families": ("journeys", "## Pictures"),
    "proxy": ("proxy", "# The userland proxy"),
    "no-proxy": ("proxy", "## Choosing a proxy"),
}


class NoPicturesError(Exception):
    """No lab comes up on the machine, so the site cannot have its pictures."""


def draw(folder: Path) -> dict[str, str]:
    """Draw each picture into ``folder``; returns what each shows, in a sentence. Raises NoPicturesError."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return dict(_drawn(folder))
    except (netlab.MachineError, netlab.Unmeasured) as error:
        raise NoPicturesError(
            f"the site's pictures are measured in labs, and none comes up here: {error} (netlab doctor says"
            " what is missing; as root, or with user namespaces, labs come up)"
        ) from error


def _drawn(folder: Path) -> list[tuple[str, str]]:
    with netlab.Lab(SCENARIOS / "httpd.yaml", name="site-httpd") as lab:
        both = [lab.probe(FLOW, family=family) for family in (4, 6)]
        topology, pair, proxy = lab.plan.graph("svg"), path.svg(both, lab.plan), both[1].svg(lab.plan)
    with netlab.Lab(SCENARIOS / "httpd-no-proxy.yaml", name="site-no-proxy") as lab:
        without = lab.probe(FLOW, family=6)
        drawing = without.svg(lab.plan)
    for journey in (*both, without):
        if journey.outcome in ("unmeasured", "unpredicted"):
            raise netlab.Unmeasured(f"{FLOW}: {journey.problem}")
    found = []
    for name, text, words in (
        ("topology", topology, "The topology of scenarios/httpd.yaml, as netlab graph draws it."),
        ("both-families", pair, " ".join(str(one).splitlines()[-1] for one in both)),
        ("proxy", proxy, str(both[1]).splitlines()[-1]),
        ("no-proxy", drawing, f"With userland-proxy: false: {str(without).splitlines()[-1]}"),
    ):
        (folder / f"{name}.svg").write_text(text, encoding="utf-8")
        found.append((name, words))
    return found
