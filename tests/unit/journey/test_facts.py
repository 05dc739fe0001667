"""Who has an address, where hosts have networks with the same ones."""

from __future__ import annotations

from netlab.journey.topology import Topology


def test_an_address_is_that_of_the_node_on_the_same_host() -> None:
    facts = Topology(
        hosts=frozenset(("one", "two")),
        homes={"web": "one", "shop": "two", "till": "two"},
        owners={"172.17.0.2": ("web", "shop"), "198.51.100.2": ("client",), "172.17.0.3": ("till",)},
    )
    assert facts.owner("172.17.0.2", "one") == "web"
    assert facts.owner("172.17.0.2", "two") == "shop"
    assert facts.owner("172.17.0.2", "till") == "shop"
    assert facts.owner("172.17.0.2", "web") == "web"
    assert facts.owner("198.51.100.2", "two") == "client"
    assert facts.owner("192.0.2.1", "two") is None


def test_facts_can_be_sent_to_another_process() -> None:
    facts = Topology(homes={"web": "one"}, ports={"one": {"02:00:00:00:00:01": "veth1"}})
    again = Topology.from_json(facts.to_json())
    assert again == facts
    assert again.port("one", bytes.fromhex("020000000001")) == "veth1"
