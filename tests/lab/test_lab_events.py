"""Events on a running lab: after each event it equals a lab that was built in that state.

::

    client ── host ─┬─ front ── web (80/tcp, 53/udp published), shop
                    └─ back ─── db (web is on it too)
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.kernel import netns
from netlab.lab.client.client import Client
from netlab.lab.client.sockets import sockets
from netlab.lab.lab import Lab
from netlab.lab.load import load_plan
from netlab.lab.prediction import Prediction
from netlab.lab.standing import attach
from netlab.model.errors import UsageError
from netlab.model.iptables_save import saved_lines

SCENARIO = """
services:
  web:
    image: any
    networks: {{front: {{ipv4_address: 172.30.0.10}}, back: {{}}}}
    ports: ['80:80', '5353:53/udp']
    restart: always
  shop: {{image: any, networks: [front], ports: ['8080:8080'], restart: always}}
  db: {{image: any, networks: [back], expose: ['5432'], restart: always}}
networks:
  front: {{enable_ipv6: true, ipam: {{config: [{{subnet: 172.30.0.0/24}}, {{subnet: 'fd00:30::/64'}}]}}}}
  back: {{ipam: {{config: [{{subnet: 172.31.0.0/24}}]}}}}
x-netlab:
  host: {{engine: {engine}}}
"""
ENGINES = ("docker-19.03", "docker-20.10", "docker-26", "docker-28", "docker-29", "docker-29-nftables")
EVENTS = (
    "restart web",
    "stop shop",
    "start shop",
    "disconnect web back",
    "connect web back",
    "connect shop back",
    "disconnect shop back",
    "remove db",
    "disconnect web back",
    "remove network back",
    "create network back",
    "connect web back",
    "flush firewall",
    "restart daemon",
)

enters = pytest.mark.skipif(os.geteuid() != 0, reason="only root may enter a namespace that is not its own")


def write(netlab: Any, text: str, name: str = "events.yaml") -> Path:
    file = Path(netlab.state) / name
    file.write_text(text)
    return file


@pytest.fixture(autouse=True)
def the_same_labs(netlab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process sees the labs of the command line."""
    monkeypatch.setenv("NETLAB_STATE", netlab.env["NETLAB_STATE"])


def run(client: Client, node: str, *argv: str) -> str:
    """What a tool prints in a node."""
    read, write_end = os.pipe()
    with client.start(node, argv, stdio=(0, write_end, 2)) as process:
        os.close(write_end)
        with os.fdopen(read) as file:
            text = file.read()
        assert process.wait() == 0, (node, argv, text)
    return text


PARTS = {
    "links": "ip -j -d addr",
    "routes": "ip route; ip -6 route",
    "ip": "iptables-save",
    "ip6": "ip6tables-save",
    "nft": "nft -s list table ip docker-bridges; nft -s list table ip6 docker-bridges",
    "files": "cat /etc/hosts /etc/resolv.conf",
    "settings": "cd /proc/sys/net; grep . ipv4/ip_forward ipv4/conf/*/* ipv6/conf/*/forwarding "
    "ipv6/conf/*/disable_ipv6",
}


def state_of(client: Client, node: str) -> dict[str, Any]:
    """All that an event may change in a node."""
    script = "; echo =====; ".join(f"({line}) 2>/dev/null" for line in PARTS.values())
    texts = run(client, node, "sh", "-c", script + "; true").split("=====\n")
    parts: dict[str, Any] = dict(zip(PARTS, texts, strict=True))
    parts["links"] = links(parts["links"])
    routes = parts["routes"].replace("linkdown", "").splitlines()
    parts["routes"] = sorted(line.rstrip() for line in routes if "fe80::" not in line)
    parts["ip"], parts["ip6"] = chains(parts["ip"]), chains(parts["ip6"])
    return parts


def links(text: str) -> list[Any]:
    """Links with their addresses, in the kernel's order.

    Not whether they have a carrier: a bridge that lost its last port hears of it from a work queue, later.
    """
    found = []
    for link in json.loads(text):
        addresses = [
            (a["family"], a["local"], a["prefixlen"]) for a in link["addr_info"] if a["scope"] != "link"
        ]
        port = link.get("linkinfo", {}).get("info_slave_data", {})
        parts = ("ifindex", "ifname", "address", "mtu", "master", "txqlen")
        up = "UP" in link["flags"]
        found.append((*(link.get(part) for part in parts), up, port.get("hairpin"), sorted(addresses)))
    return found


def chains(text: str) -> dict[str, list[str]]:
    """Every chain that does something: an empty one that accepts may be left over."""
    rules: dict[str, list[str]] = {}
    for one in saved_lines(text):
        name = f"*{one.table} {one.chain}"
        if one.kind == "rule":
            rules.setdefault(name, []).append(one.line)
        elif one.kind == "chain" and one.text != "ACCEPT":
            rules.setdefault(name, []).append(one.text)
    return rules


def snapshot(client: Client) -> dict[str, Any]:
    """All nodes, and who listens."""
    state: dict[str, Any] = {
        node.name: state_of(client, node.name) for node in client.plan.nodes if node.kind != "segment"
    }
    found = sorted((s.node, s.protocol, s.address, s.port, s.reason or "") for s in sockets(client))
    state["listening"] = dict(enumerate(found))
    return state


def compare(client: Client) -> None:
    """The lab is as one that is built by its plan at once."""
    with Lab(plan=client.plan) as fresh:
        wanted = snapshot(fresh.client)
    found = snapshot(client)
    for node, parts in wanted.items():
        for part, value in parts.items():
            assert found[node][part] == value, (node, part)
    assert found.keys() == wanted.keys()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ENGINES)
def test_after_each_event_it_is_as_built_at_that_state(netlab: Any, engine: str) -> None:
    lab = netlab.up(write(netlab, SCENARIO.format(engine=engine)))
    for event in EVENTS:
        netlab("do", lab, *event.split())
        try:
            compare(attach(lab))
        except AssertionError as error:
            raise AssertionError(f"after {event}: {error}") from error


@enters
def test_what_has_nothing_to_do_with_an_event_stays(netlab: Any) -> None:
    lab = netlab.up(write(netlab, SCENARIO.format(engine="docker-20.10")))
    client = attach(lab)
    # Held open until the end, the old namespace keeps its number from a new one.
    with closing_all(client.namespaces(["host", "client", "shop", "web"])) as before:
        with netns.entered(before["client"]):
            wire = socket.create_connection(("198.51.100.1", 8080), timeout=60)
        for rule in ("-I DOCKER-USER -s 198.51.100.77 -j DROP", "-A FORWARD -s 198.51.100.78 -j DROP"):
            netlab.exec(lab, "host", "iptables", *rule.split())
        netlab.exec(
            lab, "host", "iptables", "-t", "nat", "-A", "DOCKER", "-p", "tcp", "--dport", "9", "-j", "RETURN"
        )
        netlab.exec(lab, "host", "nft", "add", "table", "inet", "mine")
        netlab("do", lab, "restart", "web")
        with closing_all(client.namespaces(before)) as after:
            changed = {name for name, fd in after.items() if not os.path.sameopenfile(fd, before[name])}
    assert changed == {"web"}
    wire.sendall(b"hello\n")
    assert b"token hello" in wire.recv(4096)
    wire.close()
    saved = netlab.exec(lab, "host", "iptables-save").splitlines()
    assert "-A DOCKER-USER -s 198.51.100.77/32 -j DROP" in saved
    assert "-A FORWARD -s 198.51.100.78/32 -j DROP" in saved
    assert "-A DOCKER -p tcp -m tcp --dport 9 -j RETURN" in saved
    assert "table inet mine" in netlab.exec(lab, "host", "nft", "list", "tables")
    assert "peer 198.51.100.2 " in netlab.exec(lab, "client", "curl", "-s", "http://198.51.100.1/")
    netlab("do", lab, "flush", "firewall")
    assert "198.51.100.7" not in netlab.exec(lab, "host", "iptables-save")


def rules_of(netlab: Any, lab: str) -> list[str]:
    return [x for x in netlab.exec(lab, "host", "iptables-save").splitlines() if x.startswith("-A")]


@pytest.mark.parametrize("engine", ["docker-20.10", "docker-28"])
def test_an_event_acts_on_the_host_as_it_is(netlab: Any, engine: str) -> None:
    """Docker is stopped by a flush as it is in the field, and a restart of the daemon mends it."""
    lab = netlab.up(write(netlab, SCENARIO.format(engine=engine)))
    netlab("do", lab, "restart", "daemon")
    whole = rules_of(netlab, lab)
    netlab.exec(lab, "host", "nft", "flush", "ruleset")
    failed = netlab("do", lab, "restart", "web", code=1)
    assert f"{engine}: driver failed programming external connectivity" in failed.stderr
    assert "No chain/target/match by that name; web does not run" in failed.stderr
    assert "-j DNAT" not in netlab.exec(lab, "host", "iptables-save")
    netlab.exec(lab, "host", "iptables", "-I", "FORWARD", "-s", "198.51.100.77", "-j", "DROP")
    netlab("do", lab, "restart", "daemon")
    assert sorted(rules_of(netlab, lab)) == sorted([*whole, "-A FORWARD -s 198.51.100.77/32 -j DROP"])
    assert ":FORWARD ACCEPT" in netlab.exec(lab, "host", "iptables-save")  # forwarding was on
    assert "netlab web" in netlab.exec(lab, "client", "curl", "-s", "http://198.51.100.1/")
    netlab.exec(lab, "host", "sysctl", "-qw", "net.ipv4.ip_forward=0")
    netlab("do", lab, "restart", "daemon")
    assert netlab.exec(lab, "host", "cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"
    assert ":FORWARD DROP" in netlab.exec(lab, "host", "iptables-save")  # dockerd turned it on
    listed = netlab("rules", f"{lab}.host").stdout
    assert "198.51.100.77" in listed
    assert listed.count("not in the plan: added since") == 1


def test_a_deleted_interface_stops_an_event_before_it_begins(netlab: Any) -> None:
    lab = netlab.up(write(netlab, SCENARIO.format(engine="docker-28")))
    bridges = netlab.exec(lab, "host", "ip", "-o", "link", "show", "type", "bridge")
    front = next(line.split(": ")[1] for line in bridges.splitlines() if "docker0" not in line)
    netlab.exec(lab, "host", "ip", "link", "delete", front)
    refused = netlab("do", lab, "restart", "web", code=1)
    assert f"somebody has deleted {front} of host" in refused.stderr
    assert "changed in part" not in refused.stderr
    assert "netlab db" in netlab.exec(lab, "db", "curl", "-s", "http://127.0.0.1:5432/")


FILES = """
services:
  web: {image: any, ports: ['80:80'], restart: always}
  once: {image: any, ports: ['81:81']}
x-netlab:
  host:
    engine: docker-29
    firewall: {iptables: own.v4}
    routes: [default via 198.51.100.9 table 100]
    routing_policy: [from 10.9.0.0/16 table 100]
"""
OWN = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
"""


def test_what_an_administrator_does(netlab: Any) -> None:
    """Files loaded again, a reboot, daemon.json, another backend, links and commands."""
    write(netlab, OWN, "own.v4")
    lab = netlab.up(write(netlab, FILES))
    whole = rules_of(netlab, lab)
    web = ("client", "curl", "-s", "-m", "2", "http://198.51.100.1/")
    assert "host runs iptables-restore" in netlab("do", lab, "reload", "rules").stderr
    filtering = [rule for rule in rules_of(netlab, lab) if "DOCKER" in rule and "-j ACCEPT" in rule]
    assert filtering == []  # iptables-restore empties the tables that its file names
    netlab("do", lab, "run", "host", "iptables", "-A", "INPUT", "-s", "198.51.100.77", "-j", "DROP")
    assert "-A INPUT -s 198.51.100.77/32 -j DROP" in rules_of(netlab, lab)
    netlab("do", lab, "reboot", "host")
    assert "netlab web" in netlab.exec(lab, *web)
    rebooted = rules_of(netlab, lab)
    assert "from 10.9.0.0/16 lookup 100" in netlab.exec(lab, "host", "ip", "rule")
    assert "default via 198.51.100.9" in netlab.exec(lab, "host", "ip", "route", "show", "table", "100")
    assert [rule for rule in rebooted if "--dport 81" in rule or "198.51.100.77" in rule] == []
    assert sorted(rebooted) == sorted(r for r in whole if "--dport 81" not in r and "172.18.0.3" not in r)
    netlab("do", lab, "configure", "daemon", "userland-proxy=false", "live-restore=true")
    netlab("do", lab, "restart", "daemon")
    netlab("do", lab, "stop", "daemon")
    assert "netlab web" in netlab.exec(lab, *web)  # the container and its rules stay, dockerd's sockets go
    assert "0.0.0.0:80" not in netlab("sockets", f"{lab}.host").stdout
    netlab("do", lab, "start", "daemon")
    assert "dockerd" in netlab("sockets", f"{lab}.host").stdout
    netlab("do", lab, "configure", "daemon", "firewall-backend=nftables", "userland-proxy=null")
    netlab("do", lab, "restart", "daemon")
    assert "table ip docker-bridges" in netlab.exec(lab, "host", "nft", "list", "tables")
    with pytest.raises(AssertionError, match="curl"):  # FORWARD still drops, and nobody accepts there
        netlab.exec(lab, *web)
    netlab("do", lab, "run", "host", "iptables", "-P", "FORWARD", "ACCEPT")
    assert "netlab web" in netlab.exec(lab, *web)
    netlab("do", lab, "down", "link", "client", "eth0")
    assert "state DOWN" in netlab.exec(lab, "client", "ip", "link", "show", "eth0")
    netlab("do", lab, "up", "link", "client", "eth0")
    assert "state UP" in netlab.exec(lab, "client", "ip", "link", "show", "eth0")
    failed = netlab("do", lab, "run", "host", "iptables", "-D", "INPUT", "-j", "DOCKER-USER", code=1)
    assert "iptables -D INPUT -j DOCKER-USER in " in failed.stderr
    netlab("do", lab, "flush", "rules")
    assert rules_of(netlab, lab) == []


LINKS_DOWN = """
services:
  web: {image: nginx, networks: [front], ports: ["80:80"], restart: always}
  db: {image: nginx, networks: [front], restart: always}
networks:
  front: {enable_ipv6: true, ipam: {config: [{subnet: "fd00:7::/64"}]}}
  back: {enable_ipv6: true, ipam: {config: [{subnet: "fd00:8::/64"}]}}
x-netlab: {host: {engine: docker-28}, events: [create network back]}
"""


@pytest.mark.parametrize(
    ("meanwhile", "event"),
    [
        (("do", "down", "link", "host", "ext0"), "restart web"),
        (("do", "up", "link", "host", "ext0"), "restart daemon"),  # the kernel has dropped its IPv6 address
        (("exec", "ip", "link", "set", "{bridge}", "down"), "restart web"),
        (("exec", "ip", "-6", "addr", "flush", "dev", "{bridge}"), "restart web"),
        (("do", "down", "link", "db", "eth0"), "connect db back"),
    ],
)
def test_an_event_does_not_wait_for_addresses_that_others_have_taken(
    netlab: Any, meanwhile: tuple[str, ...], event: str
) -> None:
    lab = netlab.up(write(netlab, LINKS_DOWN))
    bridge = netlab.exec(lab, "host", "ip", "-o", "link", "show", "type", "bridge", "up")
    verb, *words = (word.format(bridge=re.findall(r"br-\w+", bridge)[0]) for word in meanwhile)
    if verb == "do":
        if words[0] == "up":
            netlab("do", lab, "down", *words[1:])
        netlab("do", lab, *words)
    else:
        netlab.exec(lab, "host", *words)
    netlab("do", lab, *event.split())
    assert "changed in part" not in netlab("status", lab).stderr


REFUSED = """
services:
  a: {image: nginx, networks: [inside], ports: ["80:80"]}
  b: {image: nginx, networks: [front], ports: ["81:80"]}
networks: {inside: {internal: true}, front: {}}
x-netlab: {host: {engine: docker-28}}
"""


def test_a_change_that_the_kernel_refuses_is_undone(netlab: Any) -> None:
    """Somebody has given a container the default route, for which there is room once."""
    lab = netlab.up(write(netlab, REFUSED))

    def now() -> list[str]:
        commands = ["ip -br addr", "ip route", "cat /etc/hosts"]
        seen = [netlab.exec(lab, "a", *command.split()) for command in commands]
        ports = netlab.exec(lab, "host", "ip", "-br", "-4", "addr") + netlab("sockets", lab).stdout
        return [*seen, *rules_of(netlab, lab), re.sub(r"\(\d+\)", "", ports)]

    netlab.exec(lab, "a", "ip", "route", "add", "default", "dev", "eth0")
    before = now()
    failed = netlab("do", lab, "connect", "a", "front", code=1)
    assert "a: adding the route default via " in failed.stderr
    assert failed.stderr.endswith(": there is one already; the change was undone\n")
    assert now() == before
    netlab.exec(lab, "a", "ip", "route", "delete", "default")
    netlab("do", lab, "connect", "a", "front")
    assert "default via " in netlab.exec(lab, "a", "ip", "route")


@contextlib.contextmanager
def closing_all(fds: dict[str, int]) -> Iterator[dict[str, int]]:
    """Descriptors for a while."""
    try:
        yield fds
    finally:
        for fd in fds.values():
            os.close(fd)


@enters
@pytest.mark.parametrize(
    ("engine", "forgotten"),
    [("docker-19.03", False), ("docker-20.10", False), ("docker-23", True), ("docker-28", True)],
)
def test_what_conntrack_knows_of_a_published_udp_port(netlab: Any, engine: str, forgotten: bool) -> None:
    """A client that goes on sending while the container is down pins its flow to the host (moby#8795)."""
    lab = netlab.up(write(netlab, SCENARIO.format(engine=engine)))
    with closing_all(attach(lab).namespaces(["client"])) as fds, netns.entered(fds["client"]):
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.settimeout(60)
    wire.connect(("198.51.100.1", 5353))
    wire.send(b"one")
    assert b"peer 198.51.100.2 " in wire.recv(4096)
    netlab("do", lab, "stop", "web")
    with contextlib.suppress(ConnectionRefusedError):
        wire.send(b"two")
        wire.recv(4096)
    netlab("do", lab, "start", "web")
    wire.send(b"three")
    seen = wire.recv(4096)
    assert (b"peer 198.51.100.2 " in seen) == forgotten, seen
    wire.close()


def test_up_folds_what_differs_in_services_and_networks(netlab: Any) -> None:
    text = SCENARIO.format(engine="docker-26")
    file = write(netlab, text)
    lab = netlab.up(file)
    pid = netlab.record(lab)["pid"]
    more = "  late: {image: any, networks: [front], ports: ['81:80']}\n  shop:"
    file.write_text(text.replace("  shop:", more).replace("'8080:8080'", "'8081:8080'"))
    said = netlab("up", "-q", file, "--name", lab).stderr
    assert "container late is run" in said
    assert "container shop is removed" in said
    assert "web" not in said
    assert netlab.record(lab)["pid"] == pid
    compare(attach(lab))
    assert "netlab late" in netlab.exec(lab, "client", "curl", "-s", "http://198.51.100.1:81/")
    assert "unchanged" in netlab("up", file, "--name", lab).stderr
    file.write_text(text)
    assert "container late is removed" in netlab("up", "-q", file, "--name", lab).stderr
    compare(attach(lab))


def test_up_starts_what_was_stopped(netlab: Any) -> None:
    file = write(netlab, SCENARIO.format(engine="docker-20.10"))
    lab = netlab.up(file)
    netlab("do", lab, "stop", "web")
    netlab("exec", f"{lab}.client", "--", "curl", "-s", "http://198.51.100.1/", code=7)
    assert "container web is started" in netlab("up", "-q", file, "--name", lab).stderr
    assert "netlab web" in netlab.exec(lab, "client", "curl", "-s", "http://198.51.100.1/")


def test_a_program_is_started_anew_with_its_container(netlab: Any) -> None:
    text = SCENARIO.format(engine="docker-20.10")
    lab = netlab.up(
        write(netlab, text + "  services: {shop: {command: [python3, -m, http.server, '8080']}}\n")
    )

    def command() -> Any:
        found = json.loads(netlab("status", lab, "--json").stdout)["processes"]
        return [one["pid"] for one in found if one["kind"] == "command"]

    first = command()
    netlab("do", lab, "restart", "web")
    assert command() == first
    netlab("do", lab, "restart", "shop")
    assert len(command()) == 1
    assert command() != first
    assert "SimpleHTTP" in netlab.exec(lab, "client", "curl", "-sI", "http://198.51.100.1:8080/")
    netlab("do", lab, "stop", "shop")
    assert command() == []


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("restart nonsuch", 'there is no container "nonsuch"'),
        ("remove network front", "docker-20.10 refuses"),
        ("restart wbe", 'there is no container "wbe" (did you mean "web"?)'),
        ("disconnect web bakc", 'there is no network "bakc" (did you mean "back"?)'),
        ("restart daemon hots", 'there is no host "hots" (did you mean "host"?)'),
        ("reload firewall", "host: there is no ufw and no firewalld to reload"),
        ("--json", "say what to change in"),
        ("explode web", "unknown event"),
    ],
)
def test_what_cannot_happen_is_exit_2_and_changes_nothing(netlab: Any, event: str, words: str) -> None:
    lab = netlab.up(write(netlab, SCENARIO.format(engine="docker-20.10")))
    before = netlab.record(lab)
    assert words in netlab("do", lab, *event.split(), code=2).stderr
    assert netlab.record(lab) == before


def test_two_events_at_once_come_one_after_the_other(anyones: Any) -> None:
    lab = anyones.up(write(anyones, SCENARIO.format(engine="docker-28")))
    both = [anyones.start("do", lab, "restart", name) for name in ("web", "shop")]
    for process in both:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, out + err
    for url in ("http://198.51.100.1/", "http://198.51.100.1:8080/"):
        assert "netlab" in anyones.exec(lab, "client", "curl", "-s", url)


@pytest.mark.parametrize("engine", ["docker-20.10", "docker-28"])
def test_a_network_that_takes_the_default_route_is_joined_and_left(netlab: Any, engine: str) -> None:
    """The old default route goes before the new one comes: the kernel has room for one of a metric."""
    text = (
        "services: {c: {image: x, networks: [z]}, d: {image: x, networks: [a]}}\n"
        f"networks: {{a: {{}}, z: {{}}}}\nx-netlab: {{host: {{engine: {engine}}}}}\n"
    )
    lab = netlab.up(write(netlab, text))
    for event, interface in (("connect", "eth1"), ("disconnect", "eth0")):
        netlab("do", lab, event, "c", "a")
        (default,) = [line for line in netlab.exec(lab, "c", "ip", "route").splitlines() if "default" in line]
        assert default.split()[-1] == interface
        compare(attach(lab))


AT_THE_START = """
services:
  web: {image: any, ports: ['80:80']}
  db: {image: any, ports: ['81:81']}
x-netlab:
  host: {engine: docker-28, firewall: {iptables: own.v4}}
  events:
    - stop db
    - run host iptables -N MINE
    - run host iptables -I DOCKER-USER -j MINE
    - run host iptables -t nat -F DOCKER
    - restart web
    - down link neighbour eth0
  expect:
    - flow: client -> host:80
      ipv4: ok forward
    - flow: client -> host:81
      ipv4: refused
    - event: run host iptables -I MINE -p tcp -j DROP
    - flow: client -> host:80
      ipv4: timeout
"""


def test_commands_under_events_have_happened_when_the_lab_is_up(netlab: Any) -> None:
    """By up and by verify; a second up leaves the lab as it is, and a command that fails takes it down."""
    write(netlab, OWN, "own.v4")
    file = write(netlab, AT_THE_START)
    assert "3 passed" in netlab("verify", file).stdout
    plan = netlab("plan", file)
    assert "once the lab is up: run host iptables -N MINE; " in plan.stderr
    assert "stop db" not in plan.stderr  # the plan shows this
    lab = netlab.up(file)
    rules = rules_of(netlab, lab)
    assert [rule for rule in rules if "MINE" in rule] == ["-A DOCKER-USER -j MINE"]
    nat = [rule for rule in rules if rule.startswith("-A DOCKER ! -i br-") and "DNAT" in rule]
    assert len(nat) == 1  # flushed, then written by the restart
    assert not [rule for rule in rules if rule.startswith("-A DOCKER -i docker0 -j RETURN")]
    assert "state DOWN" in netlab.exec(lab, "neighbour", "ip", "link", "show", "eth0")
    pid = netlab.record(lab)["pid"]
    assert "unchanged" in netlab("up", file, "--name", lab).stderr
    assert netlab.record(lab)["pid"] == pid
    broken = write(netlab, AT_THE_START.replace("-t nat -F DOCKER", "-t nat -F NOSUCH"))
    failed = netlab("up", broken, "--name", lab, code=1)
    assert ":11:7: event: iptables -t nat -F NOSUCH in " in failed.stderr
    assert lab not in netlab("ls").stdout


def test_events_of_the_start_need_the_scenario(tmp_path: Path) -> None:
    """A lab from the plan alone would be another one; a prediction does not know what commands change."""
    (tmp_path / "own.v4").write_text(OWN)
    file = tmp_path / "start.yaml"
    file.write_text(AT_THE_START)
    plan = load_plan([file])
    with pytest.raises(UsageError, match="the plan has events that happen in the running lab"):
        Lab(plan=plan)
    journey = Prediction(plan=plan).probe("client -> host:80", family=4)
    assert journey.outcome == "unpredicted"
    assert journey.problem is not None
    assert "run host iptables -N MINE" in journey.problem
