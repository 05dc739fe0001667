"""An engine that is not Docker, by the contract alone: through plan and diff, and found by its name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.entry_points import installed
from support.toy_engine import ToyEngine

from netlab import engine
from netlab.engine.bridges import BridgeHost
from netlab.engine.contract import Refused
from netlab.model import engine_names
from netlab.model.errors import UsageError
from netlab.model.event import ContainerSpec, EndpointSpec, NetworkSpec
from netlab.model.expectation import ScenarioEvent
from netlab.model.family import FAMILIES
from netlab.model.plan import Plan
from netlab.model.problem import Position, ScenarioError
from netlab.model.scenario import Host, Pool, PortMapping
from netlab.plan import make
from netlab.plan.change import History, happen, towards
from netlab.plan.diff import diff
from netlab.scenario import Overrides, load

ROOT = Path(__file__).parents[3]
SEED = ROOT / "scenarios" / "httpd.yaml"


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_names, "registered", {})
    engine.register(ToyEngine())


def planned(name: str, **overrides: object) -> Plan:
    return make(load([SEED], overrides=Overrides(engine=name, **overrides)))  # type: ignore[arg-type]


def test_plan_lays_out_what_the_engine_describes() -> None:
    plan = planned("toy")
    host, httpd = plan.node("host"), plan.node("httpd")
    assert [i.name for i in host.interfaces] == ["ext0", "toy0", "toyport0"]
    assert httpd.interfaces[0].peer == ("host", "toyport0")
    assert host.engine == httpd.engine == "toy"
    assert httpd.hostname == "httpd"
    assert [(r.protocol, r.port) for r in httpd.responders] == [("tcp", 80), ("tcp", 443)]
    (ruleset,) = host.rulesets
    assert [table.name for table in ruleset.tables] == ["nat"]  # type: ignore[union-attr]
    assert [(p.host_port, p.node) for p in plan.publications] == [(80, "httpd"), (443, "httpd")]


def test_the_hosts_own_firewall_is_beside_the_engines_rules() -> None:
    for firewall in ("ufw", "firewalld"):
        plan = planned("toy", firewall=firewall)
        host = plan.node("host")
        assert {r.family for r in host.rulesets if hasattr(r, "sets")} >= {FAMILIES[0]}
        texts = str(host.rulesets)
        assert "--to-destination 192.168.10.10:80" in texts
        assert firewall in texts


def test_diff_compares_it_with_docker() -> None:
    found = diff(planned("docker-28"), planned("toy"))
    gone = {change.name for change in found.about("chain") if change.kind == "goes"}
    assert "ip filter DOCKER-USER" in gone
    assert {c.name for c in found.about("interface") if c.kind == "comes"} == {"toy0", "toyport0"}
    assert diff(planned("toy"), planned("toy")).empty


def test_a_scenario_that_changes_goes_on_from_its_state() -> None:
    scenario = load([SEED], overrides=Overrides(engine="toy"))
    history = History.of(scenario)
    same = towards(history, scenario)
    assert same is not None
    assert (same.events, same.plan) == ((), make(scenario))
    with pytest.raises(UsageError, match="toy refuses: toy does not know ContainerStop"):
        happen(history, ScenarioEvent(("stop", "httpd"), Position("-", 1, 1)))


def test_what_it_refuses_is_reported_in_its_words_at_the_place() -> None:
    class Stubborn(ToyEngine):
        name = "stubborn"

        def step(self, state, event):  # type: ignore[no-untyped-def]
            raise Refused("event", "", "not today")

    engine.register(Stubborn())
    with pytest.raises(ScenarioError, match=r"httpd\.yaml:\d+:\d+: stubborn refuses: not today"):
        planned("stubborn")


# -- what BridgeHost does for an engine

HOST = Host("host", Position("f", 1, 1))
NET = NetworkSpec(
    "nw", "0" * 64, pools=(Pool("192.0.2.0/29", gateway="192.0.2.6"), Pool("2001:db8::/64")), label="nw"
)


def container(node: str, *networks: str, **more: Any) -> ContainerSpec:
    endpoints = tuple(EndpointSpec(network, **more) for network in networks)
    return ContainerSpec(node, node, "1" * 64, networks[0], endpoints, (PortMapping(80),))


def test_containers_get_the_lowest_free_address_of_each_subnet() -> None:
    made = BridgeHost(HOST).with_network(NET, "br0", "10.0.0.0/24")
    made = made.with_container(container("a", "nw", ipv4_address="192.0.2.2"), "p")
    for node in ("b", "c"):
        made = made.with_container(container(node, "nw"), "p")
    facts = made.facts("toy")
    assert [c.interfaces[0].addresses for c in facts.containers] == [
        ("192.0.2.2/29", "2001:db8::2/64"),
        ("192.0.2.1/29", "2001:db8::3/64"),
        ("192.0.2.3/29", "2001:db8::4/64"),
    ]
    assert facts.interfaces[0].addresses == ("192.0.2.6/29", "2001:db8::1/64")
    assert [route.via for route in facts.containers[0].routes] == ["192.0.2.6", "2001:db8::1"]
    assert [i.name for i in facts.interfaces] == ["br0", "p0", "p1", "p2"]
    assert [(p.node, p.host_port) for p in facts.publications] == [("a", 80), ("b", 80), ("c", 80)]
    with pytest.raises(Refused, match="Address already in use"):
        made.with_container(container("d", "nw", ipv4_address="192.0.2.3"), "p")
    with pytest.raises(Refused, match="there is no network gone"):
        made.with_container(container("d", "gone"), "p")


def test_a_container_has_a_link_for_each_network_and_its_way_out_by_the_first() -> None:
    outer = NetworkSpec("one", "1" * 64, label="one")
    made = BridgeHost(HOST).with_network(outer, "br0", "10.1.0.0/24")
    inner = NetworkSpec("two", "2" * 64, label="two", internal=True)
    made = made.with_network(inner, "br1", "10.2.0.0/24")
    facts = made.with_container(container("a", "one", "two"), "p").facts("toy")
    assert [(i.name, i.addresses) for i in facts.containers[0].interfaces] == [
        ("eth0", ("10.1.0.2/24",)),
        ("eth1", ("10.2.0.2/24",)),
    ]
    assert [route.via for route in facts.containers[0].routes] == ["10.1.0.1"]
    alone = made.with_container(container("b", "two"), "p").facts("toy")
    assert alone.containers[0].routes == ()


# -- names


@pytest.mark.parametrize(
    "name", ["docker", "docker-28", "docker-99", "Toy", "", "a b", "-toy", "a/b", "x" * 64]
)
def test_some_names_cannot_be_an_engines(name: str) -> None:
    class Named(ToyEngine):
        pass

    Named.name = name
    with pytest.raises(UsageError, match="cannot be named"):
        engine.register(Named())


def test_a_name_that_nobody_has_is_refused_with_those_that_were_added() -> None:
    with pytest.raises(UsageError, match=r"there is no engine tyo.*added by other packages: toy"):
        engine.get("tyo")
    with pytest.raises(ScenarioError, match="tyo"):
        planned("tyo")


def netlab(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netlab", *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_an_installed_package_adds_its_engine(tmp_path: Path) -> None:
    done = netlab(
        installed(tmp_path, "toy = support.toy_engine:TOY"),
        *("diff", str(SEED), "--engine", "docker-28", "--engine", "toy", "--plan-only"),
    )
    assert "toy0" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "toy = support.toy_engine:NOTHING",
            "engine toy: entry point support.toy_engine:NOTHING cannot be imported",
        ),
        ("other = support.toy_engine:TOY", "support.toy_engine:TOY is an engine of another name"),
    ],
)
def test_an_entry_point_that_leads_nowhere_is_said(tmp_path: Path, line: str, words: str) -> None:
    name = line.partition(" ")[0]
    done = netlab(installed(tmp_path, line), "plan", str(SEED), "--engine", name)
    assert done.returncode == 2
    assert words in done.stderr


def test_the_page_about_engines_prints_this_one() -> None:
    code = (ROOT / "tests" / "support" / "toy_engine.py").read_text().partition('"""\n\n')[2]
    assert f"```python\n{code}```\n" in (ROOT / "docs" / "engines.md").read_text()
