"""The matrix as a grid: equal rows are shown once, different ones are never merged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.journey.matrix import (
    Cell,
    Column,
    Replicas,
    Selection,
    WayIn,
    matrix,
    names_target,
    not_allowed,
    replicas,
)
from netlab.journey.matrix_grid import Grid, grid
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES
from netlab.model.flow import Flow, Target
from netlab.model.journey import DecidedBy, Journey, JourneyFlow, Sees
from netlab.model.plan import Node, Plan, Responder

IPV4, IPV6 = FAMILIES


def asked(
    origin: str, service: str, port: int, seen: str | None, *, family=IPV4, role="sibling", published=False
) -> tuple[Cell, Journey]:
    """One answer: the server saw ``seen`` (a node's name or an address), or the connection was refused."""
    flow = Flow(origin, Target(name=service, network="nw"), family, "tcp", port, "192.0.2.1")
    journey = Journey(
        flow=JourneyFlow(origin, flow.to, family.word, "192.0.2.9:40000", "192.0.2.1:80"),
        outcome="refused" if seen is None else "ok",
        path="bridge",
        answered_by=service,
        sees=None if seen is None else Sees("192.0.2.9", seen),
        decided_by=DecidedBy("none"),
    )
    return Cell(flow, role, "container address", published, service), journey


def open_to(way: WayIn, target: Target, port: int, service: str = "web") -> tuple[Cell, Journey]:
    """A flow of ``a`` that gets through to a published port of ``service``, by one way in."""
    cell, journey = asked("a", service, port, "a", published=True)
    flow = replace(cell.flow, target=target)
    return replace(cell, flow=flow, way=way), journey


def test_a_port_of_a_gateway_is_allowed_as_one_of_the_host() -> None:
    host, gateway = Target(name="host"), Target(name="gateway", network="nw")
    answers = [
        open_to("host address", host, 80),
        open_to("gateway", gateway, 80),
        open_to("gateway", gateway, 81),
        open_to("gateway", gateway, 80, service="elsewhere"),  # of another host, to which nothing was asked
        asked("a", "web", 82, None),
    ]
    column = Column("", {(str(n), "", IPV4): answer for n, answer in enumerate(answers)})
    assert not_allowed([], [column]) == []
    assert not_allowed(["host:80"], [column]) == [
        "a -> gateway@nw:81/tcp ipv4",
        "a -> gateway@nw:80/tcp ipv4",
    ]
    assert not_allowed(["host:*", "gateway@nw:80"], [column]) == []
    assert not_allowed(["host:81"], [column])[0] == "a -> host:80/tcp ipv4"


def columns(found: Grid) -> list[tuple[str, ...]]:
    return list(found.origins)


def test_origins_with_equal_answers_share_a_column() -> None:
    found = grid([asked("a", "web", 80, "a"), asked("b", "web", 80, "b"), asked("c", "web", 80, None)])
    assert columns(found) == [("a", "b"), ("c",)]
    assert [[str(answer) for answer in row.answers] for row in found.rows] == [["sender bridge", "refused"]]


def test_what_a_service_gets_from_itself_does_not_keep_siblings_apart() -> None:
    found = grid(
        [
            asked("a", "a", 80, None, role="self"), asked("a", "b", 80, "a"),
            asked("b", "a", 80, "b"), asked("b", "b", 80, None, role="self"),
        ]
    )  # fmt: skip
    assert columns(found) == [("a", "b")]
    assert [(row.place, str(row.answers[0]), str(row.itself)) for row in found.rows] == [
        ("a@nw", "sender bridge", "refused"),
        ("b@nw", "sender bridge", "refused"),
    ]


def test_one_other_answer_keeps_origins_apart() -> None:
    found = grid(
        [
            asked("a", "x", 80, "a"),
            asked("a", "y", 80, "a"),
            asked("b", "x", 80, "b"),
            asked("b", "y", 80, None),
        ]
    )
    assert columns(found) == [("a",), ("b",)]


def test_an_origin_that_was_not_asked_is_not_taken_for_one_that_was() -> None:
    found = grid([asked("a", "x", 80, "a"), asked("a", "y", 80, "a"), asked("b", "x", 80, "b")])
    assert columns(found) == [("a",), ("b",)]
    assert [row.answers[1] for row in found.rows][1] is None


def test_ports_and_families_with_equal_answers_are_one_row() -> None:
    found = grid(
        [asked("a", "web", port, "a", family=family) for family in FAMILIES for port in (80, 443)]
        + [asked("a", "web", 9, None)]
    )
    assert [(row.target, row.families) for row in found.rows] == [
        ("web@nw:[80,443]/tcp", (IPV4, IPV6)),
        ("web@nw:9/tcp", (IPV4,)),
    ]


def test_published_and_unpublished_ports_stay_apart() -> None:
    found = grid([asked("a", "web", 80, "a", published=True), asked("a", "web", 81, "a")])
    assert [row.target for row in found.rows] == ["web@nw:80/tcp", "web@nw:81/tcp"]


def test_replicas_share_rows_and_columns() -> None:
    members = ("w-1", "w-2")
    answers = [
        asked(one, other, 80, one, role="self" if one == other else "sibling")
        for one in members
        for other in members
    ]
    found = grid(answers, [Replicas("w", (*members, "w-3"), members)])
    assert columns(found) == [members]
    assert [row.target for row in found.rows] == ["w@nw:80/tcp"]


def plan_of(*nodes: Node) -> Plan:
    return Plan("lab", "lab", nodes, (), ())


def container(name: str, *ports: int) -> Node:
    return Node(
        name, "container", name, host="host", responders=tuple(Responder("tcp", port, "s") for port in ports)
    )


def test_replicas_are_alike_in_their_ports() -> None:
    plan = plan_of(*[container(f"w-{n}", 80) for n in (1, 2, 3, 4)], container("w-5", 81), container("v-1"))
    assert replicas(plan) == [Replicas("w", ("w-1", "w-2", "w-3", "w-4"), ("w-1", "w-2"))]


@pytest.mark.parametrize("selection", [Selection(origins=["nobody"]), Selection(targets=["nothing:1"])])
def test_a_pattern_that_names_nothing_is_an_error(selection: Selection) -> None:
    with pytest.raises(UsageError, match="is named"):
        matrix(plan_of(Node("host", "host", "host"), container("a", 80), container("b", 80)), selection)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("web@nw:80/tcp", True), ("web@nw:80", True), ("web@nw", True), ("web@*:80", True),
        ("web@nw:8", False), ("web", False), ("web@nw:80/udp", False),
    ],
)  # fmt: skip
def test_a_target_is_named_as_a_flow_names_it(pattern: str, meant: bool) -> None:
    cell, _ = asked("a", "web", 80, "a")
    assert names_target(pattern, cell.flow) is meant
