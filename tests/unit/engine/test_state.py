"""The state machine: immutable for its caller, linear for a fold, and unhurt by a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from netlab import engine
from netlab.engine.contract import Refused
from netlab.model.errors import UsageError
from netlab.model.event import (
    Connect,
    ContainerRemove,
    ContainerRestart,
    ContainerSpec,
    ContainerStart,
    ContainerStop,
    DaemonStart,
    DaemonStop,
    Disconnect,
    EndpointSpec,
    Event,
    FirewallFlush,
    NetworkCreate,
    NetworkRemove,
    NetworkSpec,
)
from netlab.model.family import Family
from netlab.model.problem import Position
from netlab.model.scenario import Firewall, Host, OutsideInterface, Pool, PortMapping

HERE = Position("scenario.yaml", 1, 1)
EXT = (OutsideInterface("ext0", ("198.51.100.1/24", "2001:db8:1::1/64")),)


def host(**keys: object) -> Host:
    return Host("host", HERE, interfaces=EXT, **keys)  # type: ignore[arg-type]


def network(name: str, subnet: str, **keys: object) -> NetworkCreate:
    spec = NetworkSpec(name, name.encode().hex().ljust(64, "0"), pools=(Pool(subnet),), **keys)  # type: ignore[arg-type]
    return NetworkCreate(spec)


def container(node: str, *networks: str, ports: tuple[PortMapping, ...] = (), **keys: Any) -> ContainerStart:
    identity = node.encode().hex().ljust(64, "0")
    endpoints = tuple(EndpointSpec(name) for name in networks)
    return ContainerStart(ContainerSpec(node, node, identity, networks[0], endpoints, ports, **keys))


HTTP = (PortMapping(80, "tcp", (80, 80)),)
HISTORY: tuple[Event, ...] = (
    network("front", "192.0.2.0/24"),
    network("back", "203.0.113.0/24"),
    container("web", "front", ports=HTTP),
    container("db", "back"),
    Connect("web", EndpointSpec("back")),
    ContainerRestart("web"),
    Disconnect("web", "front"),
    ContainerStop("db"),
    FirewallFlush(),
    DaemonStop(),
    DaemonStart(),
    ContainerRemove("db"),
)


@pytest.mark.parametrize("name", engine.NAMES)
def test_an_older_state_stays_what_it_was(name: str) -> None:
    chosen = engine.get(name)
    states = [chosen.start(host())]
    seen = [chosen.describe(states[0]).rulesets]
    for event in HISTORY:
        states.append(chosen.step(states[-1], event))
        seen.append(chosen.describe(states[-1]).rulesets)
    for state, before in zip(states, seen, strict=True):
        assert chosen.describe(state).rulesets == before
    assert states[-1].events == HISTORY


@pytest.mark.parametrize("name", engine.NAMES)
def test_what_is_taken_away_leaves_nothing_behind(name: str) -> None:
    chosen = engine.get(name)
    start = chosen.start(host())
    before = {r.family: r for r in chosen.describe(start).rulesets}  # type: ignore[union-attr]
    state = start
    for event in (*HISTORY[:6], ContainerRemove("web"), ContainerRemove("db"), NetworkRemove("front")):
        state = chosen.step(state, event)
    state = chosen.step(state, NetworkRemove("back"))
    for ruleset in chosen.describe(state).rulesets:
        after = [table for table in getattr(ruleset, "tables", [ruleset]) if table.name != "raw"]
        first = before.get(ruleset.family)  # type: ignore[union-attr]
        assert after == list(getattr(first, "tables", [first]))
    assert not list(state.value.containers)
    assert list(state.value.networks) == ["bridge"]


@pytest.mark.parametrize("name", engine.NAMES)
def test_a_refusal_changes_nothing(name: str) -> None:
    chosen = engine.get(name)
    state = chosen.start(host())
    for event in HISTORY[:3]:
        state = chosen.step(state, event)
    before = chosen.describe(state).rulesets
    with pytest.raises(Refused, match="port is already allocated"):
        chosen.step(state, container("other", "back", ports=HTTP))
    assert chosen.describe(state).rulesets == before
    assert "other" not in state.value.containers
    again = chosen.step(state, container("other", "back"))
    assert str(again.value.networks["back"].endpoints["other"].addresses[Family.IPV4]) == "203.0.113.2"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (network("again", "192.0.2.128/25"), "Pool overlaps"),
        (network("front", "10.0.0.0/24"), "already exists"),
        (network("long", "10.0.0.0/24", driver_opts={"com.docker.network.bridge.name": "x" * 16}), "15 char"),
        (network("six", "10.0.0.0/24", enable_ipv6=True), "IPv6 address pool"),
        (
            network("flag", "10.0.0.0/24", driver_opts={"com.docker.network.bridge.enable_icc": "maybe"}),
            "ParseBool",
        ),
        (container("lost", "nowhere"), "network nowhere not found"),
        (NetworkRemove("front"), "active endpoints"),
        (ContainerRestart("nobody"), "No such container"),
        (Disconnect("web", "back"), "not connected"),
        (Connect("web", EndpointSpec("front")), "already exists in network"),
        (Connect("web", EndpointSpec("back", ipv4_address="10.9.9.9")), "does not belong"),
        (DaemonStart(), "running already"),
    ],
)
def test_what_the_daemon_refuses_is_refused_with_its_words(event: Event, reason: str) -> None:
    chosen = engine.get("docker-20.10")
    state = chosen.start(host())
    for before in HISTORY[:3]:
        state = chosen.step(state, before)
    with pytest.raises(Refused, match=reason):
        chosen.step(state, event)


@pytest.mark.parametrize(
    ("name", "daemon", "reason"),
    [
        ("docker-20.10", {"ip6tables": True}, "experimental"),
        ("docker-19.03", {"ip6tables": True}, "don't match any configuration option: ip6tables"),
        ("docker-20.10", {"firewall-backend": "nftables"}, "firewall-backend"),
        ("docker-20.10", {"bip": "192.168.1.1/24", "bridge": "br0"}, "mutually exclusive"),
        ("docker-20.10", {"iptables": False, "icc": False}, "ICC=false uses iptables"),
        ("docker-20.10", {"userland-proxi": False}, "userland-proxi"),
        ("docker-20.10", {"userland-proxy": "no"}, "true or false"),
        ("docker-20.10", {"mtu": "big"}, "must be a number"),
        ("docker-29", {"firewall-backend": "ipfw"}, "invalid firewall-backend"),
    ],
)
def test_a_daemon_json_that_is_refused(name: str, daemon: dict[str, object], reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        engine.get(name).start(host(daemon=daemon))
    assert refused.value.subject == "daemon"


def test_the_nftables_backend_wants_forwarding() -> None:
    chosen = engine.get("docker-29-nftables")
    with pytest.raises(Refused, match=r"set sysctl net\.ipv4\.ip_forward=1"):
        chosen.start(host(sysctls={"net.ipv4.ip_forward": "0"}))
    off = host(sysctls={"net.ipv4.ip_forward": "0"}, daemon={"ip-forward": False})
    assert chosen.start(off).value.sysctls.get("net.ipv4.ip_forward") == "0"


def test_firewall_backend_makes_docker_29_the_nftables_engine() -> None:
    plain, named = engine.get("docker-29"), engine.get("docker-29-nftables")
    asked = plain.describe(plain.start(host(daemon={"firewall-backend": "nftables"})))
    assert asked == named.describe(named.start(host()))


def test_plain_docker_is_the_newest() -> None:
    assert engine.get("docker").name == "docker-29"
    with pytest.raises(UsageError, match=r"did you mean .docker-20\.10"):
        engine.get("docker-20.1")


def test_docker_inserts_into_the_administrators_own_rules() -> None:
    saved = "\n".join(
        (
            "*filter",
            ":FORWARD ACCEPT",
            ":DOCKER-USER -",
            "-A FORWARD -i ext0 -j DROP",
            "-A DOCKER-USER -s 203.0.113.9/32 -j DROP",
            "COMMIT",
        )
    )
    own = host(firewall=Firewall("iptables", files={"iptables": saved}))
    chosen = engine.get("docker-20.10")
    (ruleset,) = chosen.describe(chosen.start(own)).rulesets
    table = ruleset.table("filter")  # type: ignore[union-attr]
    assert table
    forward = [rule.text for rule in table.chain("FORWARD").rules]  # type: ignore[union-attr]
    assert forward[0] == "-j DOCKER-USER"
    assert forward[-1] == "-i ext0 -j DROP"
    user = [rule.text for rule in table.chain("DOCKER-USER").rules]  # type: ignore[union-attr]
    assert user == ["-s 203.0.113.9/32 -j DROP", "-j RETURN"]


def test_starting_what_runs_changes_nothing_and_restarting_moves_it() -> None:
    chosen = engine.get("docker-20.10")
    state = chosen.start(host())
    for event in (HISTORY[0], container("a", "front", ports=HTTP), container("b", "front")):
        state = chosen.step(state, event)
    before = state.value.containers["a"].starts
    assert chosen.step(state, ContainerRestart("a", if_stopped=True)).value.containers["a"].starts == before
    assert chosen.step(state, ContainerRestart("a")).value.containers["a"].starts == before + 1


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ("80:80 443:443", "443 80"),
        ("80:80/udp 80:80", "80 80/udp"),
        # measured of 20.10.24 and 26.1.5: where the daemon's comparison contradicts itself
        ("9002:99 9003:99 9001:99", "9001 9003 9002"),
        ("8081:80 8080:443 5353:53/udp", "8081 8080 5353/udp"),
        ("83:80 84:80/udp 444:7 8:700", "84/udp 83 8 444"),
    ],
)
def test_a_containers_ports_up_to_26_come_as_gos_insertion_sort_leaves_them(given: str, order: str) -> None:
    ports = []
    for text in given.split():
        numbers, _, protocol = text.partition("/")
        outer, inner = map(int, numbers.split(":"))
        ports.append(PortMapping(inner, protocol or "tcp", (outer, outer)))
    chosen = engine.get("docker-20.10")
    state = chosen.step(chosen.start(host()), HISTORY[0])
    state = chosen.step(state, container("web", "front", ports=tuple(ports)))
    (ruleset,) = chosen.describe(state).rulesets
    table = ruleset.table("nat")  # type: ignore[union-attr]
    assert table
    rules = [rule.text.split() for rule in table.chain("DOCKER").rules if "DNAT" in rule.text]
    found = [f"{r[r.index('--dport') + 1]}{'/udp' * ('udp' in r)}" for r in rules]
    assert found == order.split()


@pytest.mark.parametrize("proxy", [True, False])
def test_the_nftables_backend_cannot_publish_a_port_twice_without_the_proxy(proxy: bool) -> None:
    twice = (PortMapping(80, "tcp", (8080, 8080)), PortMapping(80, "tcp", (8081, 8081)))
    for name in ("docker-29", "docker-29-nftables"):
        chosen = engine.get(name)
        state = chosen.step(chosen.start(host(daemon={"userland-proxy": proxy})), HISTORY[0])
        if name == "docker-29" or proxy:
            state = chosen.step(state, container("web", "front", ports=twice))
            assert {b.host_port for b in state.value.containers["web"].bindings} == {8080, 8081}
        else:
            with pytest.raises(Refused, match="rule exists"):
                chosen.step(state, container("web", "front", ports=twice))


@pytest.mark.parametrize(
    ("policy", "left_running", "stopped_before"),
    [
        ("no", False, False),
        ("on-failure", False, False),
        ("unless-stopped", True, False),
        ("always", True, True),
    ],
)
def test_what_comes_up_again_with_the_daemon(policy: str, left_running: bool, stopped_before: bool) -> None:
    chosen = engine.get("docker-20.10")
    state = chosen.start(host())
    for event in (
        network("front", "192.0.2.0/24"),
        container("web", "front", restart=policy),
        container("idle", "front", restart=policy),
        ContainerStop("idle"),
        DaemonStop(),
        DaemonStart(),
    ):
        state = chosen.step(state, event)
    running = {name: one.running for name, one in state.value.containers.items()}
    assert running == {"web": left_running, "idle": stopped_before}


def test_a_container_that_was_started_again_is_not_stopped_any_more() -> None:
    chosen = engine.get("docker-20.10")
    state = chosen.start(host())
    for event in (
        network("front", "192.0.2.0/24"),
        container("web", "front", restart="unless-stopped"),
        ContainerStop("web"),
        ContainerRestart("web", if_stopped=True),
        DaemonStop(),
        DaemonStart(),
    ):
        state = chosen.step(state, event)
    assert state.value.containers["web"].running


UDP = (PortMapping(53, "udp", (5353, 5353)), PortMapping(54, "udp", (5454, 5454), "198.51.100.1"))


@pytest.mark.parametrize(
    ("name", "opened", "closed"),
    [
        ("docker-20.10", [], []),
        ("docker-23", [("", 5353), ("", 5454)], [("", 5353), ("", 5454)]),
        ("docker-29.4.0", [("", 5353), ("", 5454)], []),
        ("docker-29.5.0", [("198.51.100.1", 54)], []),
        ("docker-29.5.1", [("", 53), ("198.51.100.1", 54)], []),
    ],
)
def test_conntrack_forgets_what_this_version_deletes(
    name: str, opened: list[tuple[str, int]], closed: list[tuple[str, int]]
) -> None:
    chosen = engine.get(name)
    state = chosen.step(chosen.start(host()), HISTORY[0])
    (web,) = chosen.describe(chosen.step(state, container("web", "front", ports=UDP))).containers
    assert web.forgets.answered_by == ("192.0.2.2",)
    assert sorted(web.forgets.udp_opened) == opened
    assert sorted(web.forgets.udp_closed) == closed
