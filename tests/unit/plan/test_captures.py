"""The plan against real daemons: rules, listeners, sysctls and links of every capture must be equal.

Each capture is what one daemon left on a host after one scenario; ``tests/data/captures`` holds them, and
the scenario of each.  What may differ: ids, random hardware addresses, names of veths.
"""

from __future__ import annotations

import re
from functools import cache
from unittest.mock import patch

import pytest
from support.captures import CAPTURES, DAEMONS, scenario_file
from support.host_recordings import LINK, Sysctls, anonymous, by_name, is_autoconfigured, sections

from netlab.engine.docker import containers
from netlab.model.family import FAMILIES, Family
from netlab.model.plan import Interface, Plan
from netlab.model.rules import IptablesRuleset, NftTable
from netlab.model.scenario import Scenario
from netlab.plan import make
from netlab.plan.render import nft_text, restore_text
from netlab.scenario import Overrides, load

CONFIGS = ("c01", "c01b", "c02", "c03", "c04", "c06", "c07", "c09", "c13", "c14a", "c18", "c20")
CASES = [
    pytest.param(daemon, config, id=f"{daemon}-{config}")
    for daemon in DAEMONS
    for config in CONFIGS
    if (CAPTURES / daemon / config / "links.txt").exists()
]
#: c14a's line, as iptables-save prints it.
TYPED = {
    "iptables -I DOCKER-USER -i ext0 -s 198.51.100.2 -j DROP": (
        "-A DOCKER-USER -s 198.51.100.2/32 -i ext0 -j DROP"
    )
}


#: Captures whose daemon joined a container's networks in the other order (it iterates over a Go map).
MIRRORED = {("28.1.1", "c09"), ("29-nftables", "c09")}


@cache
def planned(daemon: str, config: str) -> Plan:
    scenario = scenario_of(daemon, config)
    if (daemon, config) not in MIRRORED:
        return make(scenario)
    in_order = containers.attachment_order
    with patch.object(containers, "attachment_order", lambda *args: in_order(*args)[::-1]):
        return make(scenario)


def scenario_of(daemon: str, config: str) -> Scenario:
    return load([scenario_file(daemon, config, "rules")], overrides=Overrides(engine=DAEMONS[daemon]))


def captured(daemon: str, config: str, name: str) -> str:
    return (CAPTURES / daemon / config / name).read_text()


#: With the nftables backend, only ufw writes iptables rules.
IPTABLES = [case for case in CASES if "29-nftables" not in str(case.id) or "c18" in str(case.id)]
NFTABLES = [case for case in CASES if "29-nftables" in str(case.id)]


@pytest.mark.parametrize(("daemon", "config"), IPTABLES)
def test_iptables_rules_are_line_by_line_those_of_the_daemon(daemon: str, config: str) -> None:
    host = planned(daemon, config).node("host")
    texts = dict.fromkeys(FAMILIES, "")
    for ruleset in host.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            texts[ruleset.family] = restore_text(ruleset)
    for command in host.commands:
        line = TYPED[command.text]
        lines = texts[Family.IPV4].splitlines(keepends=True)
        end = lines.index("COMMIT\n", lines.index("*filter\n"))
        at = next((i for i, old in enumerate(lines) if old.startswith("-A DOCKER-USER ")), end)
        lines.insert(at, line + "\n")
        texts[Family.IPV4] = "".join(lines)
    for family, name in ((Family.IPV4, "iptables.txt"), (Family.IPV6, "ip6tables.txt")):
        assert texts[family] == captured(daemon, config, name), name


@pytest.mark.parametrize(("daemon", "config"), NFTABLES)
def test_nft_rules_are_line_by_line_those_of_the_daemon(daemon: str, config: str) -> None:
    host = planned(daemon, config).node("host")
    tables = [ruleset for ruleset in host.rulesets if isinstance(ruleset, IptablesRuleset)]
    assert bool(tables) == (config == "c18")
    text = "".join(nft_text(table) for table in host.rulesets if isinstance(table, NftTable))
    dumped = captured(daemon, config, "nft.txt")
    assert text == dumped[dumped.index("table ip docker-bridges") :]


@pytest.mark.parametrize(("daemon", "config"), CASES)
def test_listeners_are_those_of_the_daemon(daemon: str, config: str) -> None:
    sockets, _, commands = captured(daemon, config, "listeners.txt").partition("# docker-proxy command lines")
    expected = sorted(line for line in sockets.splitlines() if line)
    listeners = planned(daemon, config).node("host").listeners
    shown = []
    for listener in listeners:
        star = "*" if listener.v6only is False else None
        address = star or (f"[{listener.address}]" if listener.v6only is not None else listener.address)
        peer = star or ("[::]" if listener.v6only is not None else "0.0.0.0")
        v6only = "" if listener.v6only is None else f" v6only:{int(listener.v6only)}"
        line = f"tcp LISTEN 0 {listener.backlog} {address}:{listener.port} {peer}:* users:{listener.process}"
        shown.append(f"{line}{v6only} <->")
    assert sorted(shown) == expected
    argv = sorted(" ".join(("docker-proxy", *listener.argv)) for listener in listeners if listener.argv)
    assert argv == sorted(line for line in commands.splitlines() if line)


@pytest.mark.parametrize(("daemon", "config"), CASES)
def test_sysctls_are_those_of_the_daemon(daemon: str, config: str) -> None:
    plan = planned(daemon, config)
    parts = re.split(r"^# (.*)\n", captured(daemon, config, "sysctls.txt"), flags=re.MULTILINE)
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        node = plan.node(title.removeprefix("container "))
        assert Sysctls(node).show() == "\n".join(sorted(map(by_name, anonymous(text).splitlines()))), title


def node_sections(daemon: str, config: str) -> dict[tuple[str, str], list[str]]:
    found = sections(captured(daemon, config, "links.txt"))
    return {
        (title.split(":")[0].removeprefix("container "), title.partition(": ")[2]): lines
        for title, lines in found.items()
    }


@pytest.mark.parametrize(("daemon", "config"), CASES)
def test_addresses_are_those_of_the_daemon(daemon: str, config: str) -> None:
    plan = planned(daemon, config)
    seen = 0
    for (name, what), lines in node_sections(daemon, config).items():
        if what != "ip -br addr":
            continue
        expected = {}
        for line in lines:
            link, _, *addresses = line.split()
            link = anonymous(link.partition("@")[0])
            if link != "lo":
                expected.setdefault(link, []).append(sorted(a for a in addresses if not is_autoconfigured(a)))
        found: dict[str, list[list[str]]] = {}
        for interface in plan.node(name).interfaces:
            found.setdefault(anonymous(interface.name), []).append(sorted(interface.addresses))
        assert found == expected, name
        seen += 1
    assert seen


@pytest.mark.parametrize(("daemon", "config"), CASES)
def test_default_routes_are_those_of_the_daemon(daemon: str, config: str) -> None:
    plan = planned(daemon, config)
    for (name, what), lines in node_sections(daemon, config).items():
        if what not in ("ip -4 route", "ip -6 route"):
            continue
        family = Family.IPV4 if what == "ip -4 route" else Family.IPV6
        expected = [line.split() for line in lines if line.startswith("default")]
        found = [
            ["default", "via", route.via, "dev", route.interface]
            for route in plan.node(name).routes
            if route.destination == "default" and route.via and Family.of(route.via) is family
        ]
        assert found == [line[:5] for line in expected], (name, what)


@pytest.mark.parametrize(("daemon", "config"), CASES)
def test_links_are_those_of_the_daemon(daemon: str, config: str) -> None:
    plan = planned(daemon, config)
    for (name, what), lines in node_sections(daemon, config).items():
        if what != "ip -d link":
            continue
        interfaces = {interface.index: interface for interface in plan.node(name).interfaces}
        blocks = [
            block for block in re.split(r"\n(?=\d+: )", "\n".join(lines)) if not block.startswith("1: ")
        ]
        assert len(blocks) == len(interfaces)
        for block in blocks:
            match = LINK.match(block)
            assert match, block
            interface = interfaces[int(match[1])]
            assert anonymous(interface.name) == anonymous(match[2])
            assert interface.mtu == int(match[4])
            assert interface.master == match[5]
            if interface.master:
                assert interface.hairpin == ("hairpin on" in block)
            check_mac(interface, block)
            if match[3] and interface.name != "ext0":
                assert interface.peer
                peer = next(i for i in plan.node(interface.peer[0]).interfaces if i.name == interface.peer[1])
                assert peer.index == int(match[3])


def check_mac(interface: Interface, block: str) -> None:
    match = re.search(r"link/ether (\S+)", block)
    assert match
    assert interface.mac
    if interface.name.startswith("veth") or interface.name == "ext0":
        return
    ours, theirs = interface.mac, match[1]
    if interface.kind == "bridge":
        assert ours.startswith("02:42:") == theirs.startswith("02:42:")
    elif theirs.startswith("02:42:"):
        assert ours == theirs
    else:
        assert int(ours[:2], 16) & 3 == 2
        assert not ours.startswith("02:42:")
