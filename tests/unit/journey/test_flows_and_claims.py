"""Patterns → flows, names → addresses, expectations × journeys, the flows of a matrix: all from a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import netlab
from netlab.journey.expand import claims, expand
from netlab.journey.expect import check
from netlab.journey.matrix import Selection, matrix
from netlab.journey.topology import Topology, topology_of
from netlab.lab.load import load_plan
from netlab.model.errors import UsageError
from netlab.model.expectation import Expected
from netlab.model.family import FAMILIES, Family
from netlab.model.flow import Flow
from netlab.model.journey import DecidedBy, Icmp, Journey, JourneyFlow, Leg, Nat, Sees
from netlab.model.plan import Plan
from netlab.model.problem import Position
from netlab.scenario.flow import parse_flow

NOWHERE = Position("-", 1, 1)
SCENARIO = """
services:
  web:
    image: nginx
    networks: {front: {ipv4_address: 192.168.31.10}}
    ports: ["8031:80"]
  app:
    image: nginx
    networks:
      front: {ipv4_address: 192.168.31.20}
      back: {ipv4_address: 192.168.32.20}
  db:
    image: postgres
    networks: {back: {ipv4_address: 192.168.32.10}}
    expose: [5432]
  many:
    image: nginx
    networks: [back]
    scale: 2
networks:
  front:
    ipam: {config: [{subnet: 192.168.31.0/24, gateway: 192.168.31.1}]}
  back:
    ipam: {config: [{subnet: 192.168.32.0/24, gateway: 192.168.32.1}]}
x-netlab:
  host: {engine: docker-20.10}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    file = tmp_path_factory.mktemp("flows") / "flows.yaml"
    file.write_text(SCENARIO)
    return netlab.load_plan([str(file)])


def flows(plan: Plan, text: str, family: Family | None = None) -> list[Flow]:
    return expand(parse_flow(text, NOWHERE), plan, None if family is None else (family,))


def shown(plan: Plan, text: str, family: Family | None = Family.IPV4) -> list[str]:
    return [f"{flow.origin} {flow.address} {flow.port}" for flow in flows(plan, text, family)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("client -> host:80", ["client 198.51.100.1 80"]),
        ("app -> host:80", ["app 198.51.100.1 80"]),
        ("[client, neighbour] -> host:80", ["client 198.51.100.1 80", "neighbour 198.51.100.1 80"]),
        ("web -> app:80", ["web 192.168.31.20 80"]),
        ("db -> app:80", ["db 192.168.32.20 80"]),
        ("app -> web@front:80", ["app 192.168.31.10 80"]),
        ("client -> app@back:80", ["client 192.168.32.20 80"]),
        ("web -> gateway:80", ["web 192.168.31.1 80"]),
        ("client -> gateway@back:80", ["client 192.168.32.1 80"]),
        ("client -> host@front:80", ["client 192.168.31.1 80"]),
        ("host -> localhost:80", ["host 127.0.0.1 80"]),
        ("web -> client:7000/udp", ["web 198.51.100.2 7000"]),
        ("host -> client:7000", ["host 198.51.100.2 7000"]),
        ("client -> 192.0.2.1:1-3", [f"client 192.0.2.1 {port}" for port in (1, 2, 3)]),
        ("client -> host/icmp", ["client 198.51.100.1 None"]),
        ("outside/* -> host:80", ["client 198.51.100.1 80", "neighbour 198.51.100.1 80"]),
        ("service/d* -> host:80", ["db 198.51.100.1 80"]),
        ("many -> db:5432", ["many-1 192.168.32.10 5432", "many-2 192.168.32.10 5432"]),
        ("client -> host:*", ["client 198.51.100.1 8031", "client 198.51.100.1 9"]),
        ("client -> db:*", ["client 192.168.32.10 5432", "client 192.168.32.10 9"]),
        ("neighbour -> 127.0.0.1:80 via host", ["neighbour 127.0.0.1 80"]),
    ],
)
def test_patterns(plan: Plan, text: str, expected: list[str]) -> None:
    assert shown(plan, text) == expected


def test_a_service_of_several_replicas_is_several_targets(plan: Plan) -> None:
    found = flows(plan, "db -> many:80", Family.IPV4)
    assert [flow.target.name for flow in found] == ["many-1", "many-2"]
    assert len({flow.address for flow in found}) == 2


def test_without_a_family_those_that_the_target_has(plan: Plan) -> None:
    assert [flow.family for flow in flows(plan, "client -> host:80")] == list(FAMILIES)
    assert [flow.family for flow in flows(plan, "client -> web:80")] == [Family.IPV4]
    assert [flow.family for flow in flows(plan, "client -> [2001:db8::7]:80")] == [Family.IPV6]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nobody -> host:80", "no node 'nobody'"),
        ("clien -> host:80", "did you mean client"),
        ("client -> nowhere:80", "no node 'nowhere'"),
        ("x* -> host:80", "no node's name matches"),
        ("client -> gateway:80", "gateway@NETWORK"),
        ("client -> web@nowhere:80", "no network 'nowhere'"),
        ("client -> web@back:80", "web is not on the network back"),
        ("client -> web:80", "no ipv6 address"),
        ("client -> 192.0.2.1:*", "is an ipv4 address"),
        ("client -> [2001:db8::99]:*", "no node has 2001:db8::99"),
        ("client -> host:80 via nobody", "no node 'nobody'"),
    ],
)
def test_what_means_nothing_is_the_users_error(plan: Plan, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        flows(plan, text, Family.IPV6)


def test_every_claim_of_the_gallery_has_flows() -> None:
    for file in sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml")):
        plan = netlab.load_plan([str(file)])
        assert claims(plan.expect, plan), file


# ── expectations ─────────────────────────────────────────────────────────────────────────────────────────


def journey(**changes: object) -> Journey:
    leg = Leg("host", None, Nat("192.168.31.10:80"), ())
    flow = JourneyFlow("client", "host:8031/tcp", "ipv4", "198.51.100.2:4000", "198.51.100.1:8031")
    rule = "-A DOCKER -d 192.168.31.10/32 -j ACCEPT"
    measured = Journey(
        flow,
        "ok",
        "forward",
        "web",
        Sees("198.51.100.2", "client"),
        DecidedBy("rule", family="ip", hook="forward", table="filter", chain="DOCKER", rule=rule),
        (leg,),
    )
    return replace(measured, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "expected",
    [
        Expected(),
        Expected(outcome="ok", path="forward"),
        Expected(sees="sender"),
        Expected(sees="client"),
        Expected(sees="198.51.100.2"),
        Expected(by="DOCKER"),
        Expected(by="filter DOCKER"),
        Expected(by="ip filter DOCKER"),
        Expected(by="ip filter DOCKER: -A DOCKER -d 192.168.31.10/32 -j ACCEPT"),
        Expected(not_by="raw PREROUTING"),
        Expected(not_by="ip6 filter DOCKER"),
        Expected(not_by="filter DOCKER-USER"),
        Expected(by="-d 192.168.31.10/32 -j ACCEPT"),
        Expected(not_by="INPUT"),
        Expected(dnat="192.168.31.10:80"),
    ],
)
def test_what_is_so_passes(plan: Plan, expected: Expected) -> None:
    assert check(expected, journey(), plan).passed


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (Expected(outcome="refused"), "outcome: expected refused, measured ok"),
        (Expected(path="proxy"), "path: expected proxy, measured forward"),
        (
            Expected(sees="gateway"),
            "sees: expected gateway (192.168.31.1), the server saw 198.51.100.2 (client)",
        ),
        (Expected(sees="host"), "the server saw 198.51.100.2 (client)"),
        (Expected(sees="192.0.2.1"), "sees: expected 192.0.2.1"),
        (Expected(by="INPUT"), "by: expected INPUT, it was ip filter DOCKER"),
        (Expected(by="raw DOCKER"), "by: expected raw DOCKER, it was ip filter DOCKER"),
        (Expected(by="ip6 filter DOCKER"), "it was ip filter DOCKER"),
        (Expected(not_by="filter DOCKER"), "not-by: filter DOCKER was expected to have no say"),
        (Expected(not_by="DOCKER"), "not-by: DOCKER was expected to have no say"),
        (Expected(dnat="none"), "dnat: expected none, measured 192.168.31.10:80"),
    ],
)
def test_what_is_not_so_fails_with_the_reason(plan: Plan, expected: Expected, words: str) -> None:
    result = check(expected, journey(), plan)
    assert result.passed is False
    assert words in result.problems[0]


def test_the_gateway_is_that_of_the_network_by_which_the_container_was_reached(plan: Plan) -> None:
    proxied = journey(
        path="proxy",
        sees=Sees("192.168.32.1", "host"),
        legs=(Leg("host", None, Nat(), ()), Leg("host", "docker-proxy", Nat("192.168.32.10:5432"), ())),
    )
    assert check(Expected(sees="gateway", dnat="none"), proxied, plan).passed
    other = replace(proxied, sees=Sees("192.168.31.1", "host"))
    assert check(Expected(sees="gateway"), other, plan).passed is False


def test_unmeasured_neither_passes_nor_fails(plan: Plan) -> None:
    result = check(Expected(outcome="ok"), journey(outcome="unmeasured", problem="events lost"), plan)
    assert result.passed is None
    assert "events lost" in result.problems[0]


def test_sees_something_where_nothing_came_back_fails(plan: Plan) -> None:
    result = check(Expected(sees="client"), journey(outcome="timeout", sees=None), plan)
    assert result.problems == ("sees: expected client, but no data came back (timeout)",)


def test_an_unknown_word_is_the_users_error(plan: Plan) -> None:
    with pytest.raises(UsageError, match="neither a node nor an address"):
        check(Expected(sees="somebody"), journey(), plan)


def test_json_of_everything_optional_goes_there_and_back() -> None:
    full = journey(icmp=Icmp(3, 1, "192.0.2.9"), errno="EPERM", probe="syn", notes=("a", "b"))
    full = replace(full, flow=replace(full.flow, via="host"), sees=None)
    assert Journey.from_json(full.to_json()) == full


# ── matrix and facts ─────────────────────────────────────────────────────────────────────────────────────


def test_the_matrix_asks_each_flow_once(plan: Plan) -> None:
    cells = matrix(plan)
    assert len({cell.flow for cell in cells}) == len(cells)
    assert {cell.way for cell in cells} == {
        "host address",
        "localhost",
        "gateway",
        "container address",
        "outside",
    }
    roles = {(cell.flow.origin, cell.role) for cell in cells if cell.flow.target.name == "db"}
    assert roles == {
        ("web", "other network"),
        ("app", "sibling"),
        ("db", "self"),
        ("many-1", "sibling"),
        ("many-2", "sibling"),
        ("host", "host"),
        ("client", "LAN"),
        ("neighbour", "LAN"),
    }


WAYS_OUT = [
    ("", "internet", {("tcp", 443), ("udp", 53), ("icmp", None)}),
    ("x-netlab: {}\n", "client", {("tcp", 7000), ("udp", 7000), ("icmp", None)}),
    (
        "x-netlab: {outside: {far: {addresses: [198.51.100.9/24], listen: [22]}}}\n",
        "far",
        {("tcp", 22), ("icmp", None)},
    ),
    (
        "x-netlab: {internet: true, outside: {far: {addresses: [198.51.100.9/24]}}}\n",
        "internet",
        {("tcp", 443), ("udp", 53), ("icmp", None)},
    ),
]


@pytest.mark.parametrize(("block", "there", "asked"), WAYS_OUT)
def test_containers_and_the_host_ask_their_way_out(
    tmp_path: Path, block: str, there: str, asked: set[tuple[str, int | None]]
) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(
        'services: {web: {image: "nginx:1"}, lone: {image: "nginx:1", network_mode: none}}\n' + block
    )
    plan = load_plan([file])
    out = [cell for cell in matrix(plan) if cell.way == "outside"]
    assert {cell.service for cell in out} == {there}
    assert {cell.flow.origin for cell in out} == {"web", "lone", "host"}
    assert {(cell.flow.protocol, cell.flow.port) for cell in out} == asked
    assert {cell.publication for cell in out} == {""}
    assert not [cell for cell in matrix(plan) if cell.flow.origin == "internet"]
    assert not [cell for cell in matrix(plan, Selection(published=True)) if cell.way == "outside"]
    assert matrix(plan, Selection(targets=[there])) == out
    with pytest.raises(UsageError, match="no node is named"):
        matrix(plan, Selection(origins=["nobody"]))


def test_localhost_is_asked_by_the_host_alone(plan: Plan) -> None:
    assert {c.flow.origin for c in matrix(plan) if c.way == "localhost"} == {"host"}


def test_each_row_has_a_port_on_which_nobody_listens(plan: Plan) -> None:
    ports = {cell.flow.port for cell in matrix(plan) if cell.way == "container address"}
    assert {80, 5432, 9} <= ports
    published = {(cell.flow.port, cell.published) for cell in matrix(plan) if cell.way == "host address"}
    assert (8031, True) in published
    assert (9, False) in published


def test_facts_go_there_and_back(plan: Plan) -> None:
    facts = topology_of(plan)
    assert facts.hosts == {"host"}
    assert facts.owner("192.168.31.10", "client") == "web"
    assert facts.owner("127.0.0.1", "client") == "client"
    assert facts.proxy("host", "tcp", "2001:db8:1::1", 8031) == "docker-proxy"
    assert not facts.proxy("host", "tcp", "2001:db8:1::1", 80)
    assert facts.reasons
    assert Topology.from_json(facts.to_json()) == facts
