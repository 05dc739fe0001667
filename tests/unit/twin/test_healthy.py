"""No false alarm: nothing is found on a host whose engine wrote what it should have written.

On each recorded one (the rules of real daemons), and on each configuration of the conformance tests as the
engine writes it; real daemons are collected in tests/conformance/test_twin.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.captures import CAPTURES, DAEMONS, scenario_file
from support.collections import found_on
from support.planned_hosts import collection_of

from netlab.model.errors import UsageError
from netlab.scenario import Overrides, load

#: the names of the recorded files, in a collection
FILES = {"iptables.txt": "iptables.rules", "ip6tables.txt": "ip6tables.rules", "nft.txt": "nft.rules"}
CASES = [
    (daemon, config.name)
    for daemon in DAEMONS
    for config in sorted((CAPTURES / daemon).iterdir())
    if any((config / name).exists() for name in FILES)
]
CONFORMANCE = Path(__file__).parents[2] / "conformance" / "scenarios"
#: one configuration of each kind; real daemons with all of them: tests/conformance/test_healthy.py
SELECTED = (
    "daemon-icc-false-links", "event-connect-no-proxy", "host-forwarding-before-ipv6", "host-wsl2-mirrored",
    "mode-service", "network-internal-ipv6", "option-no-icc-ipv6", "ports-order", "rules-docker-user",
)  # fmt: skip


@pytest.mark.parametrize(("daemon", "config"), CASES, ids=[f"{d}-{c}" for d, c in CASES])
def test_nothing_is_found_on_a_recorded_host(daemon: str, config: str) -> None:
    scenario = load([scenario_file(daemon, config, "rules")], overrides=Overrides(engine=DAEMONS[daemon]))
    folder = CAPTURES / daemon / config
    files = {FILES[one.name]: one.read_text() for one in folder.iterdir() if one.name in FILES}
    assert found_on(collection_of(scenario, files)) == []


@pytest.mark.parametrize("engine", ["docker-20.10", "docker-28", "docker-29-nftables"])
@pytest.mark.parametrize("name", SELECTED)
def test_nothing_is_found_on_a_planned_host(engine: str, name: str) -> None:
    try:
        scenario = load([CONFORMANCE / "all" / f"{name}.yaml"], overrides=Overrides(engine=engine))
        collection = collection_of(scenario)
    except UsageError:
        assert (engine, name) == ("docker-20.10", "host-wsl2-mirrored")
        return
    assert found_on(collection) == []
