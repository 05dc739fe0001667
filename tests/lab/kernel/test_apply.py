"""A plan becomes namespaces.

::

    client ── ext ── host ── br1 ─┬─ c0
    198.51.100.2     .1           └─ c1   10.1.0.2, fd00:1::2 …
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import inventory

from netlab.bench.plans import star
from netlab.kernel import netns, ruleset, sysctl
from netlab.lab.build.apply import Applied, apply
from netlab.lab.build.layout import MANY, layout
from netlab.model.errors import LabError, MachineError, UsageError
from netlab.model.family import FAMILIES, Family, bare
from netlab.model.plan import Interface, Node, Plan, Route, Sysctl
from netlab.model.problem import Position, ScenarioError
from netlab.model.rules import Chain, IptablesRuleset, NftChain, NftRule, NftTable, Rule, Table
from netlab.model.scenario import HostRule

Build = Callable[[Plan], Applied]
Inside = Callable[..., str]


def with_node(plan: Plan, name: str, **changes: object) -> Plan:
    """The plan with one node changed."""
    return replace(
        plan,
        nodes=tuple(replace(n, **changes) if n.name == name else n for n in plan.nodes),  # type: ignore[arg-type]
    )


def descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def own_namespace() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def connect(fd: int, address: str, port: int = 80) -> str:
    """What a first connection meets; an error if it takes a retransmission, which comes after 1 s."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with netns.entered(fd):
        sock = socket.socket(family)
    sock.settimeout(0.9)
    with sock:
        try:
            sock.connect((address, port))
        except ConnectionRefusedError:
            return "refused"
    return "connected"


def rules(family: Family, *texts: str, policy: str = "ACCEPT") -> IptablesRuleset:
    chain = Chain("INPUT", policy, tuple(Rule(text, "a test's") for text in texts))
    return IptablesRuleset(
        family, (Table("filter", (chain, Chain("FORWARD", "ACCEPT"), Chain("OUTPUT", "ACCEPT"))),)
    )


@pytest.mark.parametrize("containers", [1, 40])
def test_first_connect_to_every_container_needs_no_second_try(applied: Build, containers: int) -> None:
    plan = star(containers, networks=2)
    lab = applied(plan)
    for node in plan.nodes:
        if node.kind == "container":
            for address in node.interfaces[0].addresses:
                assert connect(lab.namespaces["client"], bare(address)) == "refused"


def test_first_connect_in_a_lab_larger_than_one_pass_of_link_watch(applied: Build) -> None:
    plan = star(MANY + 80)
    lab = applied(plan)
    for node in reversed(plan.nodes):
        if node.kind == "container":
            assert connect(lab.namespaces["host"], bare(node.interfaces[0].addresses[1])) == "refused"


def test_large_labs_know_their_neighbours(applied: Build) -> None:
    lab = applied(star(MANY + 1, client=False))
    with netns.entered(lab.namespaces["host"]):
        permanent = {address for _, address, _ in inventory.permanent_neighbours()}
    assert {"10.1.0.2", "fd00:1::2", f"10.1.0.{MANY + 2}"} <= permanent
    with netns.entered(lab.namespaces["c0"]):
        assert (2, "10.1.0.1", "02:42:00:00:01:01") in inventory.permanent_neighbours()


def test_settings_reach_every_namespace_of_a_large_lab(applied: Build) -> None:
    lab = applied(star(2 * MANY, client=False))
    for name, namespace in lab.namespaces.items():
        if name != "host":
            with netns.entered(namespace):
                assert sysctl.read("net.ipv4.ip_unprivileged_port_start") == "0"
                assert sysctl.read("net.ipv6.conf.eth0.accept_dad") == "0"


def test_links_are_as_planned(applied: Build, inside: Inside) -> None:
    plan = star(2)
    host = plan.node("host")
    ports = tuple(replace(i, hairpin=True, mtu=1400) if i.name == "veth1" else i for i in host.interfaces)
    plan = with_node(plan, "host", interfaces=ports)
    lab = applied(plan)
    shown = {
        link["ifname"]: link for link in json.loads(inside(lab.namespaces["host"], "ip", "-j", "-d", "link"))
    }
    assert list(shown) == ["lo", "ext0", "br1", "veth0", "veth1"]
    assert [link["ifindex"] for link in shown.values()] == [1, 2, 3, 4, 5]
    for interface in ports:
        assert shown[interface.name]["address"] == interface.mac
        assert shown[interface.name]["mtu"] == (
            1400 if interface.name == "br1" else interface.mtu
        )  # the least
        assert "UP" in shown[interface.name]["flags"]
        assert shown[interface.name].get("master") == interface.master
    assert shown["br1"]["linkinfo"]["info_data"]["stp_state"] == 0
    assert shown["br1"]["linkinfo"]["info_data"]["mcast_snooping"] == 1
    assert [shown[name]["linkinfo"]["info_slave_data"]["hairpin"] for name in ("veth0", "veth1")] == [
        False,
        True,
    ]
    assert {shown[name]["linkinfo"]["info_slave_data"]["state"] for name in ("veth0", "veth1")} == {
        "forwarding"
    }
    inner = json.loads(inside(lab.namespaces["c1"], "ip", "-j", "link"))
    assert (inner[1]["ifname"], inner[1]["ifindex"], inner[1]["address"]) == ("eth0", 2, "02:42:0a:01:00:03")


def test_indexes_are_what_the_plan_asks_for(applied: Build) -> None:
    plan = star(1)
    host = plan.node("host")
    asked = tuple(replace(i, index={"br1": 7, "veth0": 12}.get(i.name)) for i in host.interfaces)
    container = replace(plan.node("c0").interfaces[0], index=11)
    lab = applied(with_node(with_node(plan, "host", interfaces=asked), "c0", interfaces=(container,)))
    assert lab.indexes["host"] == {"lo": 1, "br1": 7, "veth0": 12, "ext0": 13}
    for name, expected in (("host", lab.indexes["host"]), ("c0", {"lo": 1, "eth0": 11})):
        with netns.entered(lab.namespaces[name]):
            assert {link.name: link.index for link in inventory.links()} == expected


def test_addresses_and_routes_are_as_planned_and_usable_at_once(applied: Build, inside: Inside) -> None:
    plan = star(1)
    container = plan.node("c0")
    routes = (
        *container.routes,
        Route("192.0.2.0/24", "10.1.0.1", "eth0", "10.1.0.2"),
        Route("203.0.113.0/24", None, "eth0"),
    )
    lab = applied(with_node(plan, "c0", routes=routes))
    with netns.entered(lab.namespaces["c0"]):
        found = {address for _, address in inventory.addresses()}
        rules = inventory.rules()
        table = {(destination, via) for destination, via, _ in inventory.routes()}
    assert {"10.1.0.2/16", "fd00:1::2/64", "127.0.0.1/8", "::1/128"} <= found
    assert {
        ("default", "10.1.0.1"),
        ("default", "fd00:1::1"),
        ("192.0.2.0/24", "10.1.0.1"),
        ("203.0.113.0/24", None),
    } <= table
    assert {(family, table) for family, _, table in rules} == {
        (2, 255),
        (2, 254),
        (2, 253),
        (10, 255),
        (10, 254),
    }
    for name in ("c0", "host", "client"):
        assert "tentative" not in inside(lab.namespaces[name], "ip", "address")
    assert "brd 10.1.255.255" in inside(lab.namespaces["c0"], "ip", "-4", "address")


def test_settings_reach_links_that_come_later_and_those_that_exist(applied: Build) -> None:
    plan = with_node(
        star(1),
        "host",
        sysctls=(
            Sysctl("net.ipv4.conf.br1.route_localnet", "1", "a test's"),
            Sysctl("net.ipv4.conf.default.rp_filter", "2", "a test's"),
            Sysctl("net.ipv4.ip_forward", "1", "a test's"),
            Sysctl("net.ipv6.conf.ext0.disable_ipv6", "1", "a test's"),
        ),
    )
    lab = applied(
        with_node(plan, "client", sysctls=(Sysctl("net.ipv6.conf.all.disable_ipv6", "0", "a test's"),))
    )
    expected = {
        "net.ipv4.conf.br1.route_localnet": "1",
        "net.ipv4.conf.veth0.route_localnet": "0",
        "net.ipv4.conf.veth0.rp_filter": "2",
        "net.ipv4.conf.veth0.forwarding": "1",
        "net.ipv4.conf.all.accept_redirects": "0",
        "net.ipv6.conf.ext0.disable_ipv6": "1",
        "net.ipv6.conf.br1.disable_ipv6": "0",
    }
    with netns.entered(lab.namespaces["host"]):
        assert {key: sysctl.read(key) for key in expected} == expected
    with netns.entered(lab.namespaces["c0"]):
        assert sysctl.read("net.ipv4.ip_forward") == "0"


def test_a_namespace_starts_as_the_kernel_compiled_it(namespace: int) -> None:
    with netns.entered(namespace):
        sysctl.write("net.ipv4.conf.default.rp_filter", "1")
        sysctl.write("net.ipv4.ip_forward", "1")
        corrections = dict(sysctl.inherited())
        assert corrections["net.ipv4.conf.default.rp_filter"] == "0"
        assert corrections["net.ipv4.conf.all.forwarding"] == "0"
        sysctl.write_all(sysctl.inherited())
        assert sysctl.inherited() == ()


def test_rulesets_of_both_families_and_native_ones_stand(applied: Build) -> None:
    native = NftTable(
        "inet",
        "mine",
        ("set blocked {\n\ttype ipv4_addr\n}",),
        (
            NftChain(
                "c",
                "type filter hook input priority 0; policy accept",
                (NftRule("ip saddr @blocked drop", "a test's"),),
            ),
        ),
    )
    texts = {Family.IPV4: "-s 192.0.2.0/24 -j DROP", Family.IPV6: "-s 2001:db8::/32 -j DROP"}
    lab = applied(star(1, rulesets=(native, *(rules(family, text) for family, text in texts.items()))))
    with netns.entered(lab.namespaces["host"]):
        for family in FAMILIES:
            assert f"-A INPUT {texts[family]}" in ruleset.save(family).splitlines()
        assert "ip saddr @blocked drop" in ruleset.list_nft()


def test_many_rulesets_are_loaded_in_order(applied: Build) -> None:
    first, second = (
        rules(Family.IPV4, "-s 192.0.2.1/32 -j DROP"),
        rules(Family.IPV4, "-s 192.0.2.2/32 -j DROP"),
    )
    lab = applied(star(1, rulesets=(first, rules(Family.IPV6), second)))
    with netns.entered(lab.namespaces["host"]):
        saved = ruleset.save(Family.IPV4)
    assert [line for line in saved.splitlines() if line.startswith("-A")] == [
        "-A INPUT -s 192.0.2.1/32 -j DROP",
        "-A INPUT -s 192.0.2.2/32 -j DROP",
    ]


def test_guests_share_a_namespace(applied: Build) -> None:
    plan = star(1)
    guest = Node("guest", "container", "c0", sysctls=(Sysctl("net.ipv4.ip_default_ttl", "33", "a test's"),))
    lab = applied(replace(plan, nodes=(*plan.nodes, guest)))
    assert "guest" not in lab.namespaces
    assert lab.namespace_of("guest") == lab.namespaces["c0"]
    with netns.entered(lab.namespace_of("guest")):
        assert sysctl.read("net.ipv4.ip_default_ttl") == "33"


def test_links_between_two_nodes_without_a_bridge(applied: Build) -> None:
    def end(name: str, peer: str, *addresses: str) -> Node:
        link = Interface("eth0", "veth", peer=(peer, "eth0"), addresses=addresses)
        return Node(name, "outside", name, interfaces=(link,))

    ends = end("a", "b", "192.0.2.1/30", "2001:db8::1/64"), end("b", "a", "192.0.2.2/30", "2001:db8::2/64")
    lab = applied(Plan("pair", "pair", ends, (), ()))
    assert connect(lab.namespaces["a"], "192.0.2.2") == "refused"
    assert connect(lab.namespaces["b"], "2001:db8::1") == "refused"


POSITION = Position("a.yaml", 7, 5)


def line(*argv: str) -> HostRule:
    return HostRule(argv, POSITION)


def test_administrators_lines_run_last(applied: Build) -> None:
    lines = (
        line("iptables", "-I", "INPUT", "-j", "DROP"),
        line("ip", "link", "set", "ext0", "mtu", "1300"),
        line("sysctl", "-w", "net.ipv4.conf.ext0.rp_filter=1"),
        line("nft", "add", "table", "inet", "mine"),
    )
    lab = applied(
        with_node(star(1), "host", commands=lines, rulesets=(rules(Family.IPV4, "-s 192.0.2.1/32 -j DROP"),))
    )
    lab.run_commands()
    with netns.entered(lab.namespaces["host"]):
        assert ruleset.save(Family.IPV4).index("-A INPUT -j DROP") < ruleset.save(Family.IPV4).index(
            "192.0.2.1"
        )
        assert next(link.mtu for link in inventory.links() if link.name == "ext0") == 1300
        assert sysctl.read("net.ipv4.conf.ext0.rp_filter") == "1"
        assert "table inet mine" in ruleset.list_nft()


def test_the_first_line_that_fails_is_named_with_the_tools_words(applied: Build) -> None:
    lines = (
        line("ip", "link", "show"),
        line("iptables", "-A", "NOWHERE", "-j", "DROP"),
        line("ip", "link", "set", "ext0", "down"),
    )
    lab = applied(with_node(star(1), "host", commands=lines))
    with pytest.raises(ScenarioError) as caught:
        lab.run_commands()
    assert str(caught.value).startswith("a.yaml:7:5: iptables -A NOWHERE -j DROP: iptables: ")
    with netns.entered(lab.namespaces["host"]):
        assert next(link.up for link in inventory.links() if link.name == "ext0")


def failing() -> Iterator[object]:
    plan = star(2)
    host, container = plan.node("host"), plan.node("c1")

    def case(name: str, error: type[Exception], words: str, node: str, **changes: object) -> object:
        return pytest.param(with_node(plan, node, **changes), error, words, id=name)

    lost = replace(container.interfaces[0], peer=("nobody", "eth0"))
    machine_wide, wrong = Sysctl("kernel.hostname", "x", ""), Sysctl("net.ipv4.ip_forward", "maybe", "")
    twice = (*host.interfaces, host.interfaces[0])
    far_off = Route("default", "192.0.2.1")
    yield case("route", LabError, "route default via 192.0.2.1", "c0", routes=(far_off,))
    yield case("peer", LabError, "do not name each other", "c1", interfaces=(lost,))
    yield case("namespace", LabError, "nobody", "c1", namespace="nobody")
    yield case("twice", LabError, "two interfaces named ext0", "host", interfaces=twice)
    yield case("machine-wide", UsageError, "kernel.hostname", "host", sysctls=(machine_wide,))
    yield case("value", LabError, "ip_forward", "host", sysctls=(wrong,))
    yield case("rules", LabError, "NOWHERE", "host", rulesets=(rules(Family.IPV4, "-j NOWHERE"),))
    for number in (0, 6, 39):  # so many are made by a thread
        large = with_node(star(40), f"c{number}", sysctls=(wrong,))
        yield pytest.param(large, LabError, "ip_forward", id=f"thread, {number}")
    large = with_node(star(40), "c3", interfaces=(replace(star(40).node("c3").interfaces[0], name="x" * 16),))
    large = with_node(large, "host", interfaces=tuple(_renamed(i) for i in large.node("host").interfaces))
    yield pytest.param(large, LabError, "making the link", id="caller")


def _renamed(interface: Interface) -> Interface:
    """The other end of a link of c3's whose name is too long."""
    return replace(interface, peer=("c3", "x" * 16)) if interface.peer == ("c3", "eth0") else interface


@pytest.mark.parametrize(("plan", "error", "words"), list(failing()))
def test_a_failure_is_explained_and_leaves_nothing(plan: Plan, error: type[Exception], words: str) -> None:
    before = descriptors()
    home = own_namespace()
    with pytest.raises(error, match=words):
        apply(plan)
    assert descriptors() == before
    assert own_namespace() == home
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_apply_and_close_keep_no_descriptor_and_come_back() -> None:
    before = descriptors()
    home = own_namespace()
    for _ in range(3):
        lab = apply(star(2, rulesets=(rules(Family.IPV4),)))
        assert len(lab.namespaces) == 5
        lab.close()
        lab.close()
    assert descriptors() == before
    assert own_namespace() == home


def test_missing_and_legacy_tools_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, namespace: int
) -> None:
    monkeypatch.setattr("netlab.kernel.process.PATH", str(tmp_path))
    ruleset._demand_nf_tables.cache_clear()
    try:
        with pytest.raises(MachineError, match="apt-get install nftables"):
            ruleset.load_nft("")
        with pytest.raises(MachineError, match="apt-get install iptables"):
            ruleset.load_iptables(Family.IPV4, "")
        (tmp_path / "iptables-restore").symlink_to("/usr/sbin/xtables-legacy-multi")
        with pytest.raises(MachineError, match="update-alternatives"):
            ruleset.load_iptables(Family.IPV4, "")
    finally:
        ruleset._demand_nf_tables.cache_clear()


def test_the_layout_is_the_same_each_time() -> None:
    plan = star(3, networks=2)
    assert layout(plan) == layout(plan)
