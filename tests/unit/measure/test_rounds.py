"""Which flows are measured at once."""

from __future__ import annotations

from netlab.measure.in_flight import rounds
from netlab.model.family import Family
from netlab.model.flow import Flow, Target


def flow(origin: str, source_port: int | None = None, family: Family = Family.IPV4) -> Flow:
    return Flow(origin, Target("host"), family, "udp", 53, "192.0.2.1", source_port=source_port)


def test_as_many_as_there_is_room_for() -> None:
    flows = [flow("a")] * 7
    assert [len(some) for some in rounds(flows, 3)] == [3, 3, 1]
    assert list(rounds([], 3)) == []


def test_one_port_of_a_node_sends_one_packet_at_a_time() -> None:
    flows = [flow("a", 5), flow("a", 6), flow("b", 5), flow("a", 5, Family.IPV6), flow("a", 5), flow("a", 5)]
    assert [len(some) for some in rounds(flows, 99)] == [4, 1, 1]
    assert [one for some in rounds(flows, 99) for one in some] == flows
