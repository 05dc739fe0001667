"""Podman's engines against real Podman: every recorded configuration, and each step of its history.

``tests/data/captures/podman-*`` hold what was recorded. Networks and containers were named without a project
there, and a network's id was the SHA-256 of its name. What may differ: random hardware addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from hashlib import sha256

import pytest
from support.captures import CAPTURES, PODMAN, choice_of
from support.host_recordings import LINK, Sysctls, by_name, is_autoconfigured, sections

from netlab.engine.contract import HostFacts
from netlab.engine.podman import etc
from netlab.engine.podman.generations import engine
from netlab.model.event import (
    Connect,
    ContainerRemove,
    ContainerRestart,
    ContainerStart,
    ContainerStop,
    Disconnect,
    EndpointSpec,
    Event,
    NetworkCreate,
)
from netlab.model.family import Family, endpoint
from netlab.model.plan import Listener, Node, Plan, Resolver
from netlab.model.rules import IptablesRuleset, NftTable
from netlab.model.scenario import Scenario
from netlab.plan import make
from netlab.plan.events import events_of
from netlab.plan.render import nft_text, restore_text
from netlab.scenario import Overrides, load

CONFIGS = ("p01", "p02", "p02n", "p04", "p06", "p07", "p09", "p14a", "p16", "p18", "p20")
CASES = [
    pytest.param(recording, config, id=f"{recording}-{config}") for recording in PODMAN for config in CONFIGS
]


@pytest.fixture(autouse=True)
def _as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids as the recorder pinned them."""
    monkeypatch.setattr("netlab.plan.events.digest", _pinned)


def _pinned(kind: str, *parts: str) -> str:
    return sha256(parts[1].encode()).hexdigest() if kind == "network" else f"<id of {parts[-1]}>"


def scenario_of(recording: str, config: str, kind: str = "rules") -> Scenario:
    """The scenario, with the names that networks and containers had."""
    file = CAPTURES / "scenarios" / f"{config}.{kind}.yaml"
    scenario = load([file], overrides=Overrides(engine=PODMAN[recording]))
    choice = choice_of(recording, config) or 1
    return replace(
        scenario,
        hosts=tuple(replace(host, choice=choice) for host in scenario.hosts),
        networks=tuple(replace(network, name=network.key) for network in scenario.networks),
        services=tuple(replace(s, container_name=s.name, hostname=s.name) for s in scenario.services),
    )


@cache
def planned(recording: str, config: str) -> Plan:
    return make(scenario_of(recording, config))


def captured(recording: str, config: str, name: str) -> str:
    return (CAPTURES / recording / config / name).read_text()


def rule_texts(rulesets: Iterator[object]) -> dict[str, str]:
    """What each tool prints of the rules."""
    texts = {"iptables": "", "ip6tables": "", "nft": ""}
    for ruleset in rulesets:
        if isinstance(ruleset, IptablesRuleset):
            texts[ruleset.family.iptables] = restore_text(ruleset)
        elif isinstance(ruleset, NftTable):
            texts["nft"] += nft_text(ruleset)
    return texts


@pytest.mark.parametrize(("recording", "config"), CASES)
def test_rules_are_line_by_line_those_of_podman(recording: str, config: str) -> None:
    host = planned(recording, config).node("host")
    texts = rule_texts(iter(host.rulesets))
    dumped = {tool: captured(recording, config, f"{tool}.txt") for tool in ("iptables", "ip6tables")}
    native = CAPTURES / recording / config / "nft.txt"
    dumped["nft"] = native.read_text() if native.exists() else ""
    start = dumped["nft"].find("table inet netavark")
    dumped["nft"] = dumped["nft"][start:] if start >= 0 else ""
    assert texts == dumped


@pytest.mark.parametrize(("recording", "config"), CASES)
def test_addresses_and_links_are_those_of_podman(recording: str, config: str) -> None:
    plan = planned(recording, config)
    seen = 0
    for title, lines in sections(captured(recording, config, "links.txt")).items():
        node, what = title.split(": ")
        found = plan.node(node.removeprefix("container "))
        seen += 1
        if what == "ip -br addr":
            assert addresses_shown(lines) == {i.name: set(i.addresses) for i in found.interfaces}, title
        elif what in ("ip -4 route", "ip -6 route"):
            assert routes_shown(lines) == routes_of(found, what), title
        elif what == "ip -d link":
            assert links_shown(lines) == links_of(plan, found), title
        elif what in ("bridge -d link", "ip -4 neigh"):
            assert "hairpin on" not in lines
    assert seen


def addresses_shown(lines: list[str]) -> dict[str, set[str]]:
    shown = {}
    for line in lines:
        name, _, *addresses = line.split()
        if name != "lo":
            shown[name.partition("@")[0]] = {a for a in addresses if not is_autoconfigured(a)}
    return shown


def routes_shown(lines: list[str]) -> list[str]:
    """The default routes, the one that counts first."""
    return [line.removesuffix(" pref medium") for line in lines if line.startswith("default")]


def routes_of(node: Node, what: str) -> list[str]:
    """The plan's; the kernel puts each in front of those that are there."""
    family = Family.IPV4 if what == "ip -4 route" else Family.IPV6
    return [route.words for route in reversed(node.routes) if route.via and Family.of(route.via) is family]


def links_shown(lines: list[str]) -> dict[int, tuple[str, int, str | None, int | None]]:
    shown = {}
    for line in lines:
        match = LINK.match(line)
        if match and match[2] not in ("lo", "ext0"):
            peer = int(match[3]) if match[3] else None
            shown[int(match[1])] = (match[2], int(match[4]), match[5], peer)
    return shown


def links_of(plan: Plan, node: Node) -> dict[int | None, tuple[str, int, str | None, int | None]]:
    found = {}
    for one in node.interfaces:
        if one.name != "ext0":
            there = plan.node(one.peer[0]).interfaces if one.peer else ()
            peer = next((other.index for other in there if one.peer and other.name == one.peer[1]), None)
            found[one.index] = (one.name, one.mtu, one.master, peer)
    return found


@pytest.mark.parametrize(("recording", "config"), CASES)
def test_sysctls_are_those_of_podman(recording: str, config: str) -> None:
    plan = planned(recording, config)
    parts = re.split(r"^# (.*)\n", captured(recording, config, "sysctls.txt"), flags=re.MULTILINE)
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        node = plan.node(title.removeprefix("container "))
        assert Sysctls(node).show() == "\n".join(sorted(map(by_name, text.splitlines()))), title


@pytest.mark.parametrize(("recording", "config"), CASES)
def test_no_other_setting_is_changed(recording: str, config: str) -> None:
    """All that differs from before, but for what the kernel sets along with forwarding."""
    along = ("accept_redirects", ".forwarding")
    plan = planned(recording, config)
    for title, lines in sections(captured(recording, config, "sysctls-changed.txt")).items():
        node = plan.node(title.partition(":")[0].removeprefix("container "))
        changed = {line.split()[0].rstrip(":"): _value(line) for line in lines if line}
        expected = {key: value for key, value in changed.items() if not any(word in key for word in along)}
        before = {"net.ipv4.ip_forward": "0"} | dict(scenario_of(recording, config).host("host").sysctls)
        ours = {s.key: s.value for s in node.sysctls if before.get(s.key) != s.value}
        assert {
            key: value for key, value in ours.items() if not any(word in key for word in along)
        } == expected


def _value(line: str) -> str:
    """``key: old -> new`` or ``key = new (default: old)``."""
    told = line.partition(" -> ")[2] or line.partition(" = ")[2].partition(" (default")[0]
    return " ".join(told.split())


#: What aardvark-dns asks listen(2) for.
DNS_BACKLOG = 1024


def sockets_of(listeners: Iterable[Listener], resolvers: Iterable[Resolver]) -> Iterator[tuple[str, ...]]:
    """(protocol, state and backlog, address and port, peer, process, rest) of each socket."""
    for one in listeners:
        yield _socket(one.protocol, one.backlog, one.address, one.port, one.process)
    for server in resolvers:
        program = server.program.partition(" ")[0]
        yield _socket("udp", 0, server.address, server.udp, program)
        if server.tcp:
            yield _socket("tcp", DNS_BACKLOG, server.address, server.tcp, program)


def _socket(protocol: str, backlog: int, address: str, port: int, process: str) -> tuple[str, ...]:
    state = f"LISTEN 0 {backlog}" if protocol == "tcp" else "UNCONN 0 0"
    v6only = " v6only:1" if ":" in address else ""
    peer = "[::]:*" if v6only else "0.0.0.0:*"
    return protocol, state, endpoint(address, port), peer, process, v6only


@pytest.mark.parametrize(("recording", "config"), CASES)
def test_conmon_and_aardvark_have_the_sockets_that_they_had(recording: str, config: str) -> None:
    sockets, _, _ = captured(recording, config, "listeners.txt").partition("\n# processes")
    plan = planned(recording, config)
    shown = [
        f'{protocol} {state} {own} {peer} users:(("{process}")){v6only} <->'
        for protocol, state, own, peer, process, v6only in sockets_of(
            plan.node("host").listeners, plan.resolvers
        )
    ]
    assert sorted(shown) == sorted(line for line in sockets.splitlines() if line.startswith(("tcp", "udp")))


@pytest.mark.parametrize(("recording", "config"), CASES)
def test_files_in_etc_are_those_of_podman(recording: str, config: str) -> None:
    plan = planned(recording, config)
    text = captured(recording, config, "hosts.txt") if config != "p01" else ""
    for title, lines in sections(text).items():
        kind, _, rest = title.partition(" ")
        name, _, path = rest.partition(": ")
        if kind != "container":
            continue
        node = plan.node(name)
        ours = node.hosts_file if path == "/etc/hosts" else node.resolv_conf
        if lines == ["nameserver 198.51.100.2"]:  # the recorded host's own; hosts of netlab have none
            lines = ["nameserver 8.8.8.8", "nameserver 8.8.4.4"]
        elif lines[-1] == "nameserver 198.51.100.2":  # 4.3.1 adds them
            defaults = etc.DEFAULT_SERVERS + (etc.DEFAULT_SERVERS_6 if config == "p04" else ())
            lines[-1:] = [f"nameserver {address}" for address in defaults]
        assert ours.splitlines() == lines, title


# -- one step after the other

SEED = (
    "01-nothing",
    "02-network-nw",
    "03-run-httpd",
    "04-run-sib-nopub",
    "05-network-nw2",
    "06-run-other-8090",
    "07-stop-httpd",
    "08-start-httpd",
    "10-rm-httpd",
    "11-rm-sib",
    "13-rm-other",
)
TWO_NETWORKS = (
    "01-nothing",
    "02-network-nwa-and-nwb",
    "03-run-ca-8031",
    "04-run-cb-8032",
    "05-run-cab-on-both-8033",
    "06-disconnect-nwb-cab",
    "07-connect-nwb-cab",
    "08-disconnect-nwa-cab",
    "09-rm-ca",
    "10-rm-cab",
    "11-rm-cb",
)
HISTORIES = {"p02": SEED, "p04": SEED, "p06": SEED, "p09": TWO_NETWORKS}
STAGES = [
    pytest.param(recording, config, id=f"{recording}-{config}")
    for recording in PODMAN
    for config in HISTORIES
]


def step_events(stage: str, caused: tuple[Event, ...]) -> list[Event]:
    """What happened in a stage, told by its file's name."""
    networks = {e.network.label: e for e in caused if isinstance(e, NetworkCreate)}
    runs = {e.container.node: e for e in caused if isinstance(e, ContainerStart)}
    match stage.split("-")[1:]:
        case ["nothing"]:
            return []
        case ["network", key, *more]:
            return [networks[name] for name in (key, *more) if name != "and"]
        case ["run", node, *_]:
            return [runs[node]]
        case ["stop", node]:
            return [ContainerStop(node)]
        case ["start", node]:
            return [ContainerRestart(node, if_stopped=True)]
        case ["rm", node]:
            return [ContainerRemove(node)]
        case ["disconnect", key, node]:
            return [Disconnect(node, key)]
        case ["connect", key, node]:
            return [Connect(node, _address_in(runs[node], key))]
    raise AssertionError(stage)


def _address_in(run: ContainerStart, key: str) -> EndpointSpec:
    return next(endpoint for endpoint in run.container.endpoints if endpoint.network == key)


@pytest.mark.parametrize(("recording", "config"), STAGES)
def test_rules_after_each_step_are_those_of_podman(recording: str, config: str) -> None:
    scenario = scenario_of(recording, config, "flows")
    chosen = engine(PODMAN[recording])
    caused = events_of(scenario, "host")
    state = chosen.start(scenario.host("host"))
    folder = CAPTURES / recording / config / "stages"
    before: dict[str, str] = {}
    compared = set()
    for stage in HISTORIES[config]:
        for event in step_events(stage, caused):
            state = chosen.step(state, event)
        facts = chosen.describe(state)
        for kind, text in (rule_texts(iter(facts.rulesets)) | {"links": links_text(scenario, facts)}).items():
            file = folder / f"{stage}.{kind}.txt"
            expected = file.read_text() if file.exists() else before.get(kind, "")
            assert text == settled(expected), f"{stage} {kind}"
            compared |= {file.name} if file.exists() else set()
            before[kind] = text
    assert compared == {file.name for file in folder.iterdir()}


def settled(text: str) -> str:
    """A recording in which no link was still on its way up."""
    return re.sub(r"^(?!lo )(\S+) UNKNOWN ", r"\1 UP ", text, flags=re.MULTILINE)


def links_text(scenario: Scenario, facts: HostFacts) -> str:
    """What the recorder wrote of links, addresses and sockets after a stage."""
    own = [(i.index or 0, f"{i.name} UP {' '.join(i.addresses)}".rstrip()) for i in facts.interfaces]
    host = scenario.host("host").interfaces[0]
    lines = ["lo UNKNOWN 127.0.0.1/8 ::1/128", f"ext0 UP {' '.join(host.addresses)}"]
    lines += [line for _, line in sorted(own)]
    sockets = [
        f'{protocol} {state} {own} {peer} users:(("{process}",))'
        for protocol, state, own, peer, process, _ in sockets_of(facts.listeners, facts.resolvers)
    ]
    return "".join(f"{line}\n" for line in (*lines, *sorted(sockets)))
