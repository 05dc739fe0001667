"""``x-netlab``: hosts, outside nodes, rules, firewalls, events, expectations."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from netlab.model.expectation import Expected
from netlab.model.family import Family
from netlab.model.problem import Position, ScenarioError
from netlab.model.scenario import ExposedPort, Firewall, OutsideInterface, Pool, TenantBridge
from netlab.model.version import ENGINES
from netlab.scenario.events import event_names, in_running_lab, is_command, parse_event
from netlab.scenario.rules import RuleError, parse_rule


def test_a_host_in_full(loaded: Callable) -> None:
    (host,) = loaded(
        """
        x-netlab:
          host:
            engine: docker-27
            daemon:
              userland-proxy: false
              default-network-opts: {bridge: {com.docker.network.driver.mtu: "1400"}}
            firewall: none
            interfaces:
              ext0: {addresses: [203.0.113.1/24, "2001:DB8::1/64"]}
              ext1: {segment: lan}
            bridges: {lxdbr0: {addresses: [10.1.1.1/24]}, virbr0: }
            sysctls: {net.ipv4.ip_forward: 1, net/ipv4/conf/eth0.1/forwarding: 0}
            listen: [{port: 22, program: sshd}, 53/udp, 8000-8001]
            rules: [iptables -I DOCKER-USER -j DROP]
            proxy: /usr/sbin/docker-proxy
        """
    ).hosts
    assert host.interfaces == (
        OutsideInterface("ext0", ("203.0.113.1/24", "2001:db8::1/64"), "ext"),
        OutsideInterface("ext1", (), "lan"),
    )
    assert host.bridges == (TenantBridge("lxdbr0", ("10.1.1.1/24",)), TenantBridge("virbr0"))
    assert host.sysctls == {"net.ipv4.ip_forward": "1", "net.ipv4.conf.eth0/1.forwarding": "0"}
    assert host.listen == (ExposedPort(22), ExposedPort(53, "udp"), ExposedPort(8000), ExposedPort(8001))
    assert [one.program for one in host.listen] == ["sshd", "", "", ""]
    assert host.rules[0].argv == ("iptables", "-I", "DOCKER-USER", "-j", "DROP")
    assert host.daemon["default-network-opts"] == {"bridge": {"com.docker.network.driver.mtu": "1400"}}
    assert (host.engine, host.proxy) == ("docker-27", "/usr/sbin/docker-proxy")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_can_be_named(engine: str, loaded: Callable) -> None:
    assert loaded(f"x-netlab: {{host: {{engine: {engine}}}}}").hosts[0].engine == engine


def test_default_outside_nodes_follow_the_host(loaded: Callable) -> None:
    text = "x-netlab: {host: {addresses: [203.0.113.2/24, 'fd00::9/64', 192.0.2.1/31, 10.0.0.1/32]}}"
    assert [(node.name, node.interfaces[0].addresses) for node in loaded(text).outside] == [
        ("client", ("203.0.113.3/24", "fd00::2/64")),
        ("neighbour", ("203.0.113.4/24", "fd00::3/64")),
    ]


def test_a_block_replaces_the_default_nodes(loaded: Callable) -> None:
    (far,) = loaded(
        """
        x-netlab:
          host:
            interfaces: {ext0: {addresses: [198.51.100.1/24]}, ext1: {addresses: [10.0.0.1/8], segment: lan}}
          outside:
            far:
              addresses: [10.0.0.2/8]
              segment: lan
              routes: [default via 10.0.0.1, {to: "192.168.0.0/16", via: 10.0.0.9}]
              listen: [80]
        """
    ).outside
    assert far.interfaces == (OutsideInterface("eth0", ("10.0.0.2/8",), "lan"),)
    assert far.routes == (("default", "10.0.0.1"), ("192.168.0.0/16", "10.0.0.9"))
    assert far.listen == (ExposedPort(80),)
    assert loaded("x-netlab: {outside: {}}").outside == ()
    assert (
        loaded("x-netlab: {outside: {a: {addresses: [198.51.100.7/24], routes: none}}}").outside[0].routes
        == "none"
    )


def test_several_hosts(loaded: Callable) -> None:
    scenario = loaded(
        """
        services: {web: {ports: ["80:80"]}, api: {ports: ["80:80"]}}
        x-netlab:
          hosts: {a: {addresses: [198.51.100.1/24]}, b: {addresses: [198.51.100.2/24], engine: docker-28}}
          services: {api: {host: b, listen: [9], command: nginx -g "daemon off;"}, web: {command: [sleep, 1]}}
        """
    )
    assert [(host.name, host.engine) for host in scenario.hosts] == [("a", "docker"), ("b", "docker-28")]
    web, api = scenario.services
    assert (web.host, web.command) == ("a", ("sleep", "1"))
    assert (api.host, api.command, api.listen) == ("b", ("nginx", "-g", "daemon off;"), (ExposedPort(9),))
    assert [node.interfaces[0].addresses for node in scenario.outside] == [
        ("198.51.100.3/24",),
        ("198.51.100.4/24",),
    ]


def test_what_an_external_network_is_like(loaded: Callable) -> None:
    scenario = loaded(
        """
        services: {web: {networks: {shared: {ipv4_address: 10.8.0.9}}}}
        networks: {shared: {external: true, name: proxy}}
        x-netlab: {networks: {shared: {ipam: {config: [{subnet: 10.8.0.0/24}]}, internal: true}}}
        """
    )
    (network,) = scenario.networks
    assert (network.name, network.external, network.internal) == ("proxy", True, True)
    assert network.pools == (Pool("10.8.0.0/24"),)


# -- rules

GOOD_RULES = [
    "iptables -I DOCKER-USER -i ext0 -s 198.51.100.9 -j DROP",
    "iptables -A INPUT -f -j DROP",
    "ip6tables -t nat -A POSTROUTING -m comment --comment 'a; b | $c' -j MASQUERADE",
    'iptables -A INPUT -m comment --comment "x > y" -p tcp ! --syn',
    r"nft add chain inet t c \{ type filter hook input priority 0\; \}",
    "nft 'add rule ip filter INPUT tcp dport { 80, 443 } accept'",
    "ip route add 10.0.0.0/8 via 198.51.100.2",
    "ip -6 addr add fd00::1/64 dev ext0",
    "ip neigh flush dev ext0",
    "sysctl -w net.ipv4.conf.all.route_localnet=1",
    "sysctl net/ipv4/ip_forward=0",
]


@pytest.mark.parametrize("line", GOOD_RULES)
def test_rules_that_may_be_typed(line: str) -> None:
    import shlex

    assert parse_rule(line) == tuple(shlex.split(line))


BAD_RULES = [
    "iptables -L | nft -f -",
    "iptables -L && reboot",
    "iptables -L > /etc/passwd",
    "iptables -L `id`",
    'iptables -m comment --comment "$(id)"',
    'iptables -m comment --comment "`id`"',
    "iptables -L\nreboot",
    "bash -c x",
    "./iptables -L",
    "iptables --modp=/bin/sh -L",
    "iptables -vM /bin/sh",
    "ip6tables -m bpf --object-pinned /sys/fs/bpf/x",
    "nft --file x",
    "nft -af x",
    "nft --interactive",
    "nft -I/etc list ruleset",
    'nft "add table x; include \\"/etc/passwd\\""',
    "ip --batch x",
    "ip -b x",
    "ip -netns x link",
    "ip -all netns",
    "ip netn list",
    "ip link add x netns 1",
    "ip link set ext0 xdp obj x",
    "ip -f inet link",
    "sysctl --system",
    "sysctl -p/etc/x",
    "sysctl net.ipv4/../../kernel.x=1",
    "sysctl net..x=1",
    "sysctl -a",
]


@pytest.mark.parametrize("line", BAD_RULES)
def test_rules_that_may_not(line: str) -> None:
    with pytest.raises(RuleError):
        parse_rule(line)


# -- firewalls


def test_firewall_files_are_read(loaded: Callable) -> None:
    others = {"fw/four.rules": "*filter\nCOMMIT\n", "six": "*raw\nCOMMIT\n"}
    text = "x-netlab: {host: {firewall: {iptables: fw/four.rules, ip6tables: six}}}"
    files = {"iptables": "*filter\nCOMMIT\n", "ip6tables": "*raw\nCOMMIT\n"}
    assert loaded(text, others).hosts[0].firewall == Firewall("iptables", {}, files)


def test_firewall_options(loaded: Callable) -> None:
    text = "x-netlab: {host: {firewall: {ufw: {allow: [22, 80/tcp], route_allow: [x], after_rules: after}}}}"
    assert loaded(text, {"after": "*filter"}).hosts[0].firewall == Firewall(
        "ufw", {"allow": [22, "80/tcp"], "route_allow": ["x"]}, {"after_rules": "*filter"}
    )
    centos = loaded(
        "x-netlab: {host: {firewall: {firewalld: {layout: centos7, zones: {public: {ports: [80]}}}}}}"
    )
    assert centos.hosts[0].firewall.options == {"layout": "centos7", "zones": {"public": {"ports": [80]}}}
    assert loaded("x-netlab: {host: {firewall: {firewalld: }}}").hosts[0].firewall == Firewall("firewalld")


def test_a_link_out_of_the_folder_is_refused(problems: Callable, loaded: Callable, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("flush ruleset")
    (tmp_path / "lab" / "inside").symlink_to(tmp_path / "outside")
    text = "x-netlab: {host: {firewall: {nftables: inside}}}"
    assert problems(text) == [
        'f:1:40: "inside" is outside the scenario\'s folder; allow_outside_files lets it be read'
    ]
    assert loaded(text, allow_outside_files=True).hosts[0].firewall.files == {"nftables": "flush ruleset"}


def test_an_nft_file_includes_nothing(problems: Callable, loaded: Callable) -> None:
    text = "x-netlab: {host: {firewall: {nftables: rules.nft}}}"
    good = 'table inet t {\n  # include "x"\n  chain include_me { comment "include \'x\'"; }\n}\n'
    assert loaded(text, {"rules.nft": good}).hosts[0].firewall.files == {"nftables": good}
    bad = good + " include \"/etc/shadow\"\nadd table x; include 'y'\n"
    assert problems(text, {"rules.nft": bad}) == [
        'rules.nft:5:2: "include" is not allowed here: it reads another file',
        'rules.nft:6:14: "include" is not allowed here: it reads another file',
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sub", "f:1:40: sub is a folder, not a file"),
        ("'a\\0b'", None),
        ("binary", "binary:1:3: not UTF-8 text: byte 0xff"),
    ],
)
def test_files_that_cannot_be_read(
    name: str, message: str | None, problems: Callable, tmp_path: Path
) -> None:
    (tmp_path / "lab" / "sub").mkdir()
    (tmp_path / "lab" / "binary").write_bytes(b"ab\xff")
    found = problems(f"x-netlab: {{host: {{firewall: {{nftables: {name}}}}}}}")
    assert len(found) == 1
    assert message in (None, found[0])


# -- events and expectations


def test_events(loaded: Callable) -> None:
    scenario = loaded(
        """
        services: {web: {scale: 2}, db: {container_name: store}}
        networks: {later: {}, never: {}}
        x-netlab:
          events:
            - restart web
            - stop  web-2
            - start lab-web-1
            - remove store
            - create network later
            - connect db later
            - disconnect db lab_later
            - remove network later
            - restart daemon
            - stop daemon host
            - reload firewall
            - flush firewall host
            - configure daemon host icc=false 'default-address-pools=[{"base":"10.0.0.0/8","size":24}]'
            - configure daemon bip=null
            - reboot host
        """
    )
    assert scenario.events[1].words == ("stop", "web-2")
    assert scenario.events[1].position.line == 7
    assert len(scenario.events) == 15
    assert scenario.events[12].words[3:] == (
        "icc=false",
        'default-address-pools=[{"base":"10.0.0.0/8","size":24}]',
    )
    assert [network.key for network in scenario.networks] == ["later", "default"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("restart web", [("container", "web")]),
        ("connect web nw", [("container", "web"), ("network", "nw")]),
        ("create network nw", [("network", "nw")]),
        ("remove network", [("container", "network")]),
        ("stop daemon", []),
        ("reload firewall a", [("host", "a")]),
        ("flush rules", []),
        ("reload rules a", [("host", "a")]),
        ("reboot host a", [("host", "a")]),
        ("restart host", [("container", "host")]),
        ("configure daemon icc=false", []),
        ("configure daemon a icc=false mtu=1400", [("host", "a")]),
        ("down link a ext0", [("node", "a")]),
        ("run a ip link", [("node", "a")]),
    ],
)
def test_names_in_events(words: str, names: list) -> None:
    assert event_names(tuple(words.split())) == names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("reload", "write it as reload firewall [HOST] or reload rules [HOST]"),
        ("reload web", 'reload takes "firewall" or "rules" or "networks", not "web"'),
        ("restart", "write it as restart CONTAINER or restart daemon [HOST]"),
        ("restart daemon a b", "write it as restart daemon [HOST]"),
        ("up link a", "write it as up link NODE INTERFACE"),
        ("reboot a", 'reboot takes "host", not "a"'),
        ("configure daemon", "write it as configure daemon [HOST] KEY=VALUE..."),
        ("configure daemon a =1", '"=1" is not KEY=VALUE'),
        ("configure daemon 'a", "No closing quotation"),
        ("run host", "write it as run NODE COMMAND"),
        ("run host sh -c true", '"sh" cannot be called'),
        ("run host ip netns add a", '"ip netns" is not allowed here'),
        ("run host nft flush ruleset; true", "commands run without a shell"),
    ],
)
def test_what_is_no_event(text: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(says)):
        parse_event(text, Position("here", 1, 1))


def test_commands_are_events_too(loaded: Callable) -> None:
    text = "services: {web: {}}\nx-netlab: {events: [stop web, run host nft flush ruleset, start web]}"
    live = in_running_lab(loaded(text).events)
    assert [event.text for event in live] == ["run host nft flush ruleset", "start web"]
    assert [event.position.line for event in live] == [2, 2]
    chain = "[run host iptables -N MINE, run host iptables -A FORWARD -j MINE]"
    loaded(f"services: {{web: {{}}}}\nx-netlab: {{events: {chain}}}")
    with pytest.raises(ScenarioError, match="MINE"):
        loaded("services: {web: {}}\nx-netlab: {events: [run host iptables -A FORWARD -j MINE]}")


def test_commands_between_flows(loaded: Callable) -> None:
    scenario = loaded(
        """
        services: {web: {}}
        x-netlab:
          expect:
            - event: run host iptables -N MINE
            - event: run host iptables -A FORWARD -j MINE
            - event: run web ip link set dev eth0 mtu 1400
            - event: down link client eth0
            - event: reload rules
            - {flow: "client -> host:80", both: {outcome: refused}}
        """
    )
    after = scenario.expect[0].after
    assert [is_command(event) for event in after] == [True] * 5
    assert after[1].words == ("run", "host", "iptables", "-A", "FORWARD", "-j", "MINE")
    assert parse_event(after[1].text, after[1].position, {"MINE"}).words == after[1].words
    with pytest.raises(ScenarioError, match='there is no node "nobody"'):
        loaded("services: {a: {}}\nx-netlab: {expect: [{event: down link nobody x}, {flow: 'a -> a:1'}]}")


def test_what_happens_between_flows(loaded: Callable) -> None:
    first, second, third, fourth = loaded(
        """
        services: {web: {networks: [nw]}}
        networks: {nw: {}, later: {}}
        x-netlab:
          expect:
            - {flow: "client -> host:80", both: {outcome: refused}}
            - event: stop web
            - {flow: "client:40000 -> host:80", both: {outcome: refused}}
            - {flow: "client -> host:81", both: {outcome: refused}}
            - event: start web
            - event: connect web later
            - {flow: "client -> host:82", both: {outcome: refused}}
        """
    ).expect
    assert first.after == ()
    assert [event.text for event in second.after] == ["stop web"]
    assert (second.pattern.source_port, second.position.line) == (40000, 8)
    assert third.after == second.after
    assert [event.text for event in fourth.after] == ["stop web", "start web", "connect web later"]
    assert str(fourth.after[2].position) == "f:11:14"
    assert fourth.after_words == "stop web, start web, connect web later"


def test_a_network_that_only_an_event_between_flows_names_is_there(loaded: Callable) -> None:
    scenario = loaded(
        """
        services: {web: {}}
        networks: {later: {}, never: {}}
        x-netlab:
          expect:
            - event: connect web later
            - {flow: "client -> host:82", both: {outcome: refused}}
        """
    )
    assert [network.key for network in scenario.networks] == ["later", "default"]


def test_expectations_of_both_families_and_one(loaded: Callable) -> None:
    scenario = loaded(
        """
        services: {web: {networks: [nw]}}
        networks: {nw: {}}
        x-netlab:
          expect:
            - flow: client -> host:80
              both: {outcome: ok, by: DOCKER}
              ipv6: {outcome: refused, not-by: X}
            - flow: "[neigh*, service/web] -> web@nw:*/udp via outside/client"
              both: {outcome: timeout, path: none}
            - {flow: "client -> [2001:db8:1::1]:80", ipv6: {sees: "2001:DB8:1::0:2", dnat: "[fd00::1]:80"}}
            - {flow: "client -> gateway@bridge:80", ipv4: {sees: web, dnat: none}}
            - {flow: "client -> host@ext:80", ipv4: {sees: sender}}
        """
    )
    first, second, third, *_ = scenario.expect
    assert first.expected == (
        (Family.IPV4, Expected(outcome="ok", by="DOCKER")),
        (Family.IPV6, Expected(outcome="refused", by="DOCKER", not_by="X")),
    )
    assert [family for family, _ in second.expected] == [Family.IPV4, Family.IPV6]
    assert third.expected == ((Family.IPV6, Expected(sees="2001:db8:1::2", dnat="[fd00::1]:80")),)
    assert first.position.line == 6


def test_what_is_expected_may_be_said_in_words(loaded: Callable) -> None:
    (said,) = loaded(
        """
        services: {web: {image: nginx, ports: ["80:80"]}}
        x-netlab:
          expect:
            - {flow: "client -> host:80", both: ok forward, ipv6: "ok proxy, not by DOCKER-USER"}
        """
    ).expect
    four, six = (expected for _, expected in said.expected)
    assert (four.outcome, four.path) == ("ok", "forward")
    assert (six.outcome, six.path, six.not_by) == ("ok", "proxy", "DOCKER-USER")


def test_words_that_mean_nothing(problems: Callable) -> None:
    found = problems(
        """
        services: {web: {image: nginx, ports: ["80:80"]}}
        x-netlab:
          expect: [{flow: "client -> host:80", both: okay}]
          engine: docker-28
        """
    )
    assert found == [
        "f:4:46: 'okay': 'okay' is neither an outcome nor a path (did you mean ok?)",
        'f:5:3: unknown key "engine" in x-netlab (did you mean "host: {engine: …}"?)',
    ]
