"""The engine as a state machine against real daemons: the rules after every step of a history.

``tests/data/captures/*/*/stages`` hold what stood after each; a file that would equal the one before it is
absent, which is itself part of the claim.
"""

from __future__ import annotations

import pytest
from support.captures import CAPTURES, DAEMONS, scenario_file

from netlab import engine
from netlab.engine.docker import containers
from netlab.model.event import (
    ContainerRemove,
    ContainerRestart,
    ContainerStart,
    Event,
    NetworkCreate,
    NetworkRemove,
)
from netlab.model.family import FAMILIES
from netlab.plan.events import events_of
from netlab.plan.render import nft_text, restore_text
from netlab.scenario import Overrides, load

SEED = (
    "01-daemon",
    "02-network-nw",
    "03-run-httpd",
    "04-run-sib-nopub",
    "05-network-nw2",
    "06-run-other-8090",
    "07-restart-httpd",
    "08-rm-httpd",
    "09-rm-sib",
    "10-network-rm-nw",
    "11-rm-other-and-nw2",
)
TWO_NETWORKS = (
    "01-daemon",
    "02-network-nwa",
    "03-network-nwb",
    "04-run-ca-8031",
    "05-run-cb-8032",
    "06-run-cab-on-both-8033",
    "07-rm-ca",
    "08-rm-cab",
    "09-rm-cb",
    "10-network-rm-nwa",
    "11-network-rm-nwb",
)
HISTORIES = {"c02": SEED, "c03": SEED, "c04": SEED, "c09": TWO_NETWORKS}
CASES = [pytest.param(daemon, config, id=f"{daemon}-{config}") for daemon in DAEMONS for config in HISTORIES]


def step_events(stage: str, caused: tuple[Event, ...]) -> list[Event]:
    """What happened in a stage, from its file's name."""
    networks = {e.network.label: e for e in caused if isinstance(e, NetworkCreate)}
    containers = {e.container.node: e for e in caused if isinstance(e, ContainerStart)}
    words = stage.split("-")[1:]
    match words:
        case ["daemon"]:
            return []
        case ["network", "rm", key]:
            return [NetworkRemove(networks[key].network.name)]
        case ["network", key]:
            return [networks[key]]
        case ["run", node, *_]:
            return [containers[node]]
        case ["restart", node]:
            return [ContainerRestart(node)]
        case ["rm", node, "and", key]:
            return [ContainerRemove(node), NetworkRemove(networks[key].network.name)]
        case ["rm", node]:
            return [ContainerRemove(node)]
    raise AssertionError(stage)


#: Captures whose daemon joined a container's networks in the other order (it iterates over a Go map).
MIRRORED = {("29-nftables", "c09")}


@pytest.fixture
def _mirrored(monkeypatch: pytest.MonkeyPatch, daemon: str, config: str) -> None:
    if (daemon, config) in MIRRORED:
        in_order = containers.attachment_order
        monkeypatch.setattr(containers, "attachment_order", lambda *args: in_order(*args)[::-1])


@pytest.mark.usefixtures("_mirrored")
@pytest.mark.parametrize(("daemon", "config"), CASES)
def test_rules_after_each_step_are_those_of_the_daemon(daemon: str, config: str) -> None:
    scenario = load([scenario_file(daemon, config)], overrides=Overrides(engine=DAEMONS[daemon]))
    chosen = engine.get(DAEMONS[daemon])
    caused = events_of(scenario, "host")
    state = chosen.start(scenario.host("host"))
    folder = CAPTURES / daemon / config / "stages"
    kinds = ["nft"] if daemon == "29-nftables" else [family.iptables for family in FAMILIES]
    before: dict[str, str] = {}
    compared = 0
    for stage in HISTORIES[config]:
        for event in step_events(stage, caused):
            state = chosen.step(state, event)
        texts = dict.fromkeys(kinds, "")
        for ruleset in chosen.describe(state).rulesets:
            if kinds == ["nft"]:
                texts["nft"] += nft_text(ruleset)
            else:
                texts[ruleset.family.iptables] = restore_text(ruleset)
        for kind, text in texts.items():
            file = folder / f"{stage}.{kind}.txt"
            expected = file.read_text() if file.exists() else before[kind]
            compared += file.exists()
            assert text == expected, f"{stage} {kind}"
            before[kind] = text
    assert compared == len(list(folder.iterdir()))
