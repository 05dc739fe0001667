"""Docker's DNS server: what it answers to whom, and that nothing that is sent to it hurts it."""

from __future__ import annotations

import random
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.lab.load import load_plan
from netlab.lab.services import dns
from netlab.model.plan import Plan

SHOP = """
name: shop
services:
  web: {hostname: shop.example, networks: {front: {aliases: [www]}, back: }, ports: ["80:80"]}
  app: {networks: [front], deploy: {replicas: 3}, links: ["web:store"]}
  db: {networks: [back], dns_opt: ["ndots:2"]}
  lone: {network_mode: bridge}
networks:
  front: {enable_ipv6: true, ipam: {config: [{subnet: 10.11.1.0/24}, {subnet: "fd00:11::/64"}]}}
  back: {ipam: {config: [{subnet: 10.11.2.0/24}]}}
x-netlab: {host: {engine: docker-20.10}}
"""
OK, FORMAT_ERROR, SERVER_FAILURE, NOT_IMPLEMENTED = 0, 1, 2, 4
REVERSED = ".".join("20000000000000000000000011000" + "0df") + ".ip6.arpa"
TYPES = {"A": 1, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    file = tmp_path_factory.mktemp("dns") / "shop.yaml"
    file.write_text(SHOP)
    return load_plan([file])


@pytest.fixture
def servers(plan: Plan, tmp_path: Path) -> dns.Servers:
    dns.keep(str(tmp_path), plan)
    return dns.Servers(str(tmp_path))


def query(name: str, kind: str = "A", *, size: int = 0, flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label)
    question = labels + b"\0" + struct.pack(">2H", TYPES[kind], 1)
    option = b"\0" + struct.pack(">2HIH", 41, size, 0, 0) if size else b""
    return struct.pack(">6H", 7, flags, 1, 0, 0, 1 if size else 0) + question + option


def parsed(answer: bytes | None, lasting: int = dns.TTL) -> tuple[int, list[str]]:
    """The code of an answer, and its records as text."""
    assert answer is not None
    number, flags, questions, count, *_ = struct.unpack_from(">6H", answer)
    assert (number, questions) == (7, 1)
    assert flags & 0x8100 == 0x8100
    at = answer.index(b"\0", 12) + 5
    found = []
    for _ in range(count):
        pointer, kind, _, ttl, length = struct.unpack_from(">3HIH", answer, at)
        assert (pointer, ttl) == (0xC00C, lasting)
        data = answer[at + 12 : at + 12 + length]
        at += 12 + length
        if kind == TYPES["PTR"]:
            found.append(".".join(labels(data)))
        else:
            family = socket.AF_INET if kind == TYPES["A"] else socket.AF_INET6
            found.append(socket.inet_ntop(family, data))
    assert at == len(answer)
    return flags & 15, found


def labels(data: bytes) -> list[str]:
    return [data[1 : 1 + data[0]].decode(), *labels(data[1 + data[0] :])] if data[0] else []


def asked(servers: dns.Servers, node: str, name: str, kind: str = "A") -> tuple[int, list[str]]:
    return parsed(servers.of(node).answer(query(name, kind)))


@pytest.mark.parametrize(
    ("node", "name", "kind", "answer"),
    [
        ("app-1", "web", "A", ["10.11.1.2"]),
        ("app-1", "WEB.", "A", ["10.11.1.2"]),
        ("app-1", "web", "AAAA", ["fd00:11::2"]),
        ("app-1", "www", "A", ["10.11.1.2"]),
        ("app-1", "shop-web-1", "A", ["10.11.1.2"]),
        ("app-1", "shop.example", "A", ["10.11.1.2"]),
        ("app-1", "web.shop_front", "A", ["10.11.1.2"]),
        ("app-1", "store", "A", ["10.11.1.2"]),
        ("app-1", "web", "MX", []),
        ("db", "web", "A", ["10.11.2.2"]),
        ("db", "web", "AAAA", []),
        ("db", "nobody", "A", []),  # ndots:2 of its own: the client shall try its search list
        ("web", "db", "A", ["10.11.2.3"]),
        ("app-1", "2.1.11.10.in-addr.arpa", "PTR", ["shop-web-1.shop_front"]),
        ("db", "2.2.11.10.in-addr.arpa", "PTR", ["shop-web-1.shop_back"]),
        ("db", "3.2.11.10.in-addr.arpa", "PTR", ["shop-db-1.shop_back"]),
        ("app-1", REVERSED, "PTR", ["shop-web-1.shop_front"]),
    ],
)
def test_names_of_a_container_s_own_networks(
    servers: dns.Servers, node: str, name: str, kind: str, answer: list[str]
) -> None:
    assert asked(servers, node, name, kind) == (OK, answer)


@pytest.mark.parametrize(
    ("node", "name", "kind"),
    [
        ("app-1", "db", "A"),
        ("app-1", "web.shop_back", "A"),
        ("app-1", "app-1", "A"),
        ("app-1", "example.org", "A"),
        ("app-1", "web", "TXT"),
        ("app-1", "1.1.11.10.in-addr.arpa", "PTR"),
        ("app-1", "x.in-addr.arpa", "PTR"),
        ("app-1", "1.ip6.arpa", "PTR"),
        ("app-1", "x", "PTR"),
        ("db", "store.nowhere", "A"),
        ("db", "example.org", "A"),
        ("web", "store", "A"),
    ],
)
def test_what_is_not_known_is_asked_nowhere(servers: dns.Servers, node: str, name: str, kind: str) -> None:
    assert asked(servers, node, name, kind) == (SERVER_FAILURE, [])


def test_replicas_take_turns_to_be_the_first(servers: dns.Servers) -> None:
    orders = [tuple(asked(servers, "web", "app")[1]) for _ in range(4)]
    assert {frozenset(order) for order in orders} == {frozenset(("10.11.1.3", "10.11.1.4", "10.11.1.5"))}
    assert [order[0] for order in orders] == ["10.11.1.3", "10.11.1.4", "10.11.1.5", "10.11.1.3"]
    assert asked(servers, "web", "app", "AAAA")[1][0] == "fd00:11::3"


def test_only_members_of_user_defined_networks_have_a_server(plan: Plan) -> None:
    assert {server.node for server in plan.resolvers} == {"web", "app-1", "app-2", "app-3", "db"}
    assert not plan.node("lone").rulesets
    assert not plan.networks[0].names


def test_servers_know_what_was_kept_last(plan: Plan, servers: dns.Servers, tmp_path: Path) -> None:
    assert asked(servers, "app-1", "web")[0] == OK
    (tmp_path / "other.yaml").write_text("services: {app: {deploy: {replicas: 2}}}")
    dns.keep(str(tmp_path), load_plan([tmp_path / "other.yaml"]))
    assert asked(servers, "app-1", "web")[0] == SERVER_FAILURE
    assert asked(servers, "app-1", "app")[0] == OK
    assert asked(servers, "db", "app")[0] == SERVER_FAILURE


def test_what_does_not_fit_is_cut_and_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("services: {web: {deploy: {replicas: 60}}}")
    dns.keep(str(tmp_path), load_plan([tmp_path / "f.yaml"]))
    server = dns.Servers(str(tmp_path)).of("web-1")
    short, long = server.answer(query("web")), server.answer(query("web", size=4096))
    assert short is not None
    assert long is not None
    assert len(short) <= 512
    assert short[2] & 2
    assert not long[2] & 2
    assert len(parsed(long)[1]) == 60
    reply = dns.stream_answer(server, query("web"))
    assert len(parsed(reply[2:])[1]) == 60


def test_no_answer_is_longer_than_a_datagram(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("services: {web: {}}")
    dns.keep(str(tmp_path), load_plan([tmp_path / "f.yaml"]))
    server = dns.Servers(str(tmp_path)).of("web")
    server.zones[0].names["web-0"] = ["10.0.0.1"] * 5000
    reply = server.answer(query("web-0", size=65535))
    assert reply is not None
    assert 65000 < len(reply) <= 65507
    assert reply[2] & 2


def test_a_stream_of_queries_is_taken_query_by_query(servers: dns.Servers) -> None:
    one = len(query("web")).to_bytes(2, "big") + query("web")
    stream = one + one + one[:5]
    for _ in range(2):
        assert dns.whole(stream)
        found, stream = dns.next_query(stream)
        reply = dns.stream_answer(servers.of("app-1"), found)
        assert int.from_bytes(reply[:2], "big") == len(reply) - 2
        assert parsed(reply[2:]) == (OK, ["10.11.1.2"])
    assert (stream, dns.whole(stream)) == (one[:5], False)
    assert dns.stream_answer(servers.of("app-1"), b"\0" * 5) == b""


LONG = "n" * 300
UNUSUAL = f"""
name: shop
services:
  web: {{networks: [long, dots, edge, over]}}
networks:
  long: {{name: {LONG}, ipam: {{config: [{{subnet: 10.11.1.0/24}}]}}}}
  dots: {{name: "a..b", ipam: {{config: [{{subnet: 10.11.2.0/24}}]}}}}
  edge: {{name: {"e" * 63}, ipam: {{config: [{{subnet: 10.11.3.0/24}}]}}}}
  over: {{name: {"o" * 64}, ipam: {{config: [{{subnet: 10.11.4.0/24}}]}}}}
"""


@pytest.mark.parametrize(
    ("network", "code"), [(1, SERVER_FAILURE), (2, SERVER_FAILURE), (3, OK), (4, SERVER_FAILURE)]
)
def test_names_that_dns_cannot_carry(network: int, code: int, tmp_path: Path) -> None:
    """Docker lets a network's name have any length; a label has 63 octets at most, and one at least."""
    (tmp_path / "f.yaml").write_text(UNUSUAL)
    dns.keep(str(tmp_path), load_plan([tmp_path / "f.yaml"]))
    server = dns.Servers(str(tmp_path)).of("web")
    found, names = parsed(server.answer(query(f"2.{network}.11.10.in-addr.arpa", "PTR")))
    assert found == code
    assert names == ([f"shop-web-1.{'e' * 63}"] if code == OK else [])


@pytest.mark.parametrize("suffix", ["in-addr.arpa", "ip6.arpa"])
@pytest.mark.parametrize("label", [b"\0", b"1\0", b"\xff", b".", b"1.2.3.4", b"%", b"f" * 63, b"\xc3\xa9"])
def test_a_label_of_any_octets(servers: dns.Servers, label: bytes, suffix: str) -> None:
    name = bytes([len(label)]) + label + query(suffix, "PTR")[12:]
    answer = servers.of("app-1").answer(query("x")[:12] + name)
    assert answer is not None
    assert answer[3] & 15 == SERVER_FAILURE


LABELS = st.one_of(
    st.binary(max_size=70),
    st.sampled_from([b"web", b"app", b"shop_front", b"in-addr", b"ip6", b"arpa", b"10", b"2", b"f"]),
)
QUESTIONS = st.builds(
    lambda head, labels, rest: (
        head + b"".join(bytes([len(label)]) + label for label in labels) + b"\0" + rest
    ),
    st.one_of(st.binary(max_size=12), st.just(query("x")[:12])),
    st.lists(LABELS, max_size=8),
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([struct.pack(">2H", kind, 1) for kind in TYPES.values()]),
        st.builds(lambda size: struct.pack(">2HB2HIH", 1, 1, 0, 41, size, 0, 0), st.integers(0, 65535)),
    ),
)


@settings(max_examples=250, deadline=None, database=None, derandomize=True)
@given(st.one_of(QUESTIONS, st.binary(max_size=600)))
def test_any_octets_have_a_bounded_answer_or_none(message: bytes) -> None:
    answer = SERVER.answer(message)
    assert answer is None or 12 <= len(answer) <= 65507
    assert len(dns.stream_answer(SERVER, message)) <= 2 + 65535


def _server() -> dns.Server:
    zone = dns.Zone(
        "shop_front",
        {"web": ["10.11.1.2", "fd00::2"], "app": [f"10.11.1.{n}" for n in range(3, 250)]},
        {"10.11.1.2": "web.shop_front", "10.11.1.3": f"x.{LONG}", "fd00::2": "web..b"},
    )
    return dns.DockerServer([zone], {("store", "shop_front"): "web"})


SERVER = _server()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (query("web")[:-1], FORMAT_ERROR),
        (query("web")[:14], FORMAT_ERROR),
        (query("web")[:12] + b"\xc0\x0c\0\1\0\1", FORMAT_ERROR),
        (query("web")[:4] + b"\0\2" + query("web")[6:], FORMAT_ERROR),
        (query("web", flags=0x2900), NOT_IMPLEMENTED),
    ],
)
def test_invalid_queries_get_an_error_code(servers: dns.Servers, message: bytes, code: int) -> None:
    answer = servers.of("app-1").answer(message)
    assert answer is not None
    assert answer[3] & 15 == code


def test_answers_and_scraps_are_not_answered(servers: dns.Servers) -> None:
    answer = servers.of("app-1").answer(query("web"))
    assert answer is not None
    assert servers.of("app-1").answer(answer) is None
    assert servers.of("app-1").answer(b"\0" * 11) is None


def test_no_garbage_hurts(servers: dns.Servers) -> None:
    dice = random.Random(1)
    server = servers.of("app-1")
    for _ in range(3000):
        message = bytearray(query("web.shop_front", dice.choice([*TYPES]), size=dice.choice([0, 512])))
        for _ in range(dice.randrange(1, 6)):
            message[dice.randrange(len(message))] = dice.randrange(256)
        answer = server.answer(bytes(message[: dice.randrange(len(message) + 1)]))
        assert answer is None or len(answer) <= 65535


PODS = """
name: pods
services:
  web: {networks: {front: {aliases: [www]}, back: }}
  app: {networks: [front]}
  db: {networks: [inner]}
networks:
  front: {enable_ipv6: true, ipam: {config: [{subnet: 10.11.1.0/24}, {subnet: "fd00:11::/64"}]}}
  back: {ipam: {config: [{subnet: 10.11.2.0/24}]}}
  inner: {internal: true, ipam: {config: [{subnet: 10.11.3.0/24}]}}
x-netlab: {host: {engine: podman-5-nftables}}
"""
NAME_ERROR = 3


@pytest.fixture
def aardvark(tmp_path: Path) -> dns.Servers:
    """The servers of a Podman host: web is .2 on front and back, app .3 on front, db .2 on inner."""
    file = tmp_path / "pods.yaml"
    file.write_text(PODS)
    dns.keep(str(tmp_path), load_plan([file]))
    return dns.Servers(str(tmp_path))


@pytest.mark.parametrize(
    ("gateway", "asker", "name", "kind", "expected"),
    [
        ("10.11.1.1", "10.11.1.3", "web", "A", (OK, ["10.11.1.2"])),
        ("10.11.1.1", "10.11.1.3", "WEB.dns.podman", "A", (OK, ["10.11.1.2"])),
        ("10.11.1.1", "10.11.1.3", "www", "AAAA", (OK, ["fd00:11::2"])),
        ("10.11.2.1", "10.11.2.2", "app", "A", (OK, ["10.11.1.3"])),  # of the asker's other network
        ("10.11.1.1", "10.11.1.2", "web", "A", (OK, ["10.11.1.2", "10.11.2.2"])),
        ("10.11.2.1", "198.51.100.2", "web", "A", (OK, ["10.11.2.2"])),  # from the LAN
        ("10.11.2.1", "198.51.100.2", "app", "A", (SERVER_FAILURE, [])),
        ("10.11.1.1", "10.11.1.3", "nobody", "A", (SERVER_FAILURE, [])),
        ("10.11.3.1", "10.11.3.2", "nobody", "A", (NAME_ERROR, [])),
        ("10.11.3.1", "10.11.3.2", "db", "AAAA", (OK, [])),
    ],
)
def test_aardvark_answers_each_by_its_address(
    aardvark: dns.Servers, gateway: str, asker: str, name: str, kind: str, expected: tuple[int, list[str]]
) -> None:
    answer = aardvark.of("host", gateway).answer(query(name, kind), asker=asker)
    assert parsed(answer, dns.AARDVARK_TTL) == expected


def test_aardvark_knows_the_names_of_an_address(aardvark: dns.Servers) -> None:
    found = aardvark.of("host", "10.11.1.1").answer(query("2.1.11.10.in-addr.arpa", "PTR"), asker="10.11.1.3")
    code, names = parsed(found, dns.AARDVARK_TTL)
    assert (code, names[:3]) == (OK, ["pods_web_1", "web", "www"])
