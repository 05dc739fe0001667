"""Real trace events, recorded, give the journeys that were seen: hooks, chains, NAT, path, decision."""

from __future__ import annotations

import random

import pytest
from support import recorded_traces as recorded

from netlab.journey.build import journey_of
from netlab.journey.headers import key_of_sections, packet_of, reverse
from netlab.journey.hook_passes import Assembler
from netlab.journey.sentence import sentence
from netlab.kernel.netlink.message import attributes
from netlab.model.journey import Journey
from netlab.model.plan import Backend, Listener

#: NFTA_TRACE_NETWORK_HEADER and NFTA_TRACE_CT_ID (linux/netfilter/nf_tables.h)
NETWORK_HEADER, CT_ID = 8, 18


def recorded_journey(name: str, second: bytes | None = None) -> Journey:
    recording = recorded.load(name)
    paths = recording.paths(second)
    return journey_of(recording.flow, recording.result(second), paths, recording.facts, replies=True)


def second_leg(name: str) -> bytes:
    """The key of the proxy's own packet: the one that the host sent to the container."""
    for hook_pass in recorded.load(name).hook_passes():
        if hook_pass.hook == "output" and b"\xc0\xa8\x0a\x01\xc0\xa8\x0a\x0a" in hook_pass.key:
            return bytes(hook_pass.key)
    raise AssertionError(f"{name} holds no proxy's leg")


EXPECTED = {
    # name: path, letters of legs, of answers, dnat, snat, decided_by, its chain
    "dnat-forward": ("forward", ["PFS"], ["PFS"], "192.168.10.10:80", None, "rule", "DOCKER"),
    "masquerade": ("forward", ["PFS"], ["PFS"], None, "198.51.100.1", "rule", "FORWARD"),
    "br-netfilter": ("bridge", ["PFS"], ["PFS"], None, None, "rule", "FORWARD"),
    "isolation": ("forward", ["PF"], [], None, None, "rule", "DOCKER-ISOLATION-STAGE-2"),
    "output-dnat": ("output", ["OS"], ["PI"], "192.168.10.10:80", None, "policy", "OUTPUT"),
    "refused": ("local", ["PI"], ["OS"], None, None, "socket", None),
    "udp-unreachable": ("local", ["PI"], [], None, None, "socket", None),
    "echo": ("local", ["PI"], ["OS"], None, None, "policy", "INPUT"),
    "fragments-ipv4": ("forward", ["PFS"], ["PFS"], None, "198.51.100.1", "rule", "FORWARD"),
    "fragments-ipv6": ("local", ["PI"], [], None, None, "socket", None),
    "switched": ("bridge", [], [], None, None, "none", None),
    "proxy-ipv6": ("local", ["PI"], ["OS"], None, None, "none", None),
    "loopback": ("local", ["OSPI"], ["OSPI"], None, None, "policy", "INPUT"),
}


def test_every_recording_is_expected() -> None:
    assert set(recorded.NAMES) == set(EXPECTED)


@pytest.mark.parametrize("name", recorded.NAMES)
def test_recording(name: str) -> None:
    path, legs, replies, dnat, snat, kind, chain = EXPECTED[name]
    journey = recorded_journey(name)
    assert [leg.letters for leg in journey.legs] == legs
    assert [leg.letters for leg in journey.replies] == replies
    assert journey.path == path
    assert (journey.decided_by.kind, journey.decided_by.chain) == (kind, chain)
    nat = journey.legs[0].nat if journey.legs else None
    assert (nat.dnat if nat else None) == dnat
    measured = nat.snat if nat else None
    assert (measured.rpartition(":")[0] if measured else None) == snat


@pytest.mark.parametrize(("name", "first"), [("proxy-ipv6", "PI"), ("loopback", "OSPI")])
def test_a_proxied_connection_has_two_legs(name: str, first: str) -> None:
    journey = recorded_journey(name, second_leg(name))
    assert [(leg.letters, leg.by) for leg in journey.legs] == [(first, None), ("OS", "docker-proxy")]
    assert journey.path == "proxy"
    assert journey.sees is not None
    assert journey.sees.address == "192.168.10.1"
    assert [leg.by for leg in journey.replies] == [None, "docker-proxy"]


def test_a_proxys_leg_has_the_name_of_the_engines_process() -> None:
    recording = recorded.load("proxy-ipv6")
    listener = Listener(
        "tcp", "::", recording.flow.port or 0, True, "rootlessport", Backend("192.168.10.10", 80)
    )
    recording.facts.listeners["host"] = (listener,)
    second = second_leg("proxy-ipv6")
    made = journey_of(recording.flow, recording.result(second), recording.paths(second), recording.facts)
    assert [leg.by for leg in made.legs] == [None, "rootlessport"]
    assert "by rootlessport, through INPUT" in sentence(made)


def test_rules_stand_in_order_under_their_hooks() -> None:
    visits = recorded_journey("dnat-forward").legs[0].hooks
    met = [[(hit.table, hit.chain, hit.verdict) for hit in visit.rules] for visit in visits]
    assert met == [
        [("nat", "PREROUTING", "jump DOCKER"), ("nat", "DOCKER", "accept")],
        [
            ("filter", "FORWARD", "jump DOCKER-USER"),
            ("filter", "DOCKER-USER", "return"),
            ("filter", "FORWARD", "jump DOCKER-ISOLATION-STAGE-1"),
            ("filter", "DOCKER-ISOLATION-STAGE-1", "return"),
            ("filter", "FORWARD", "jump DOCKER"),
            ("filter", "DOCKER", "accept"),
        ],
        [("nat", "POSTROUTING", "policy accept")],
    ]
    assert [visit.packet.dst for visit in visits] == [
        "198.51.100.1:80",
        "192.168.10.10:80",
        "192.168.10.10:80",
    ]
    assert [(visit.iif, visit.oif) for visit in visits] == [
        ("ext0", None),
        ("ext0", "docker_httpd"),
        ("ext0", "docker_httpd"),
    ]


def test_a_loopback_packet_changes_its_id_and_stays_one() -> None:
    recording = recorded.load("loopback")
    ids = {
        event.id
        for event in recording.events()
        if event.headers is not None
        and key_of_sections(event.headers.network, event.headers.transport) == recording.key
    }
    assert len(ids) == 2
    hooks = [hook_pass.hook for hook_pass in recording.paths().forth]
    assert hooks == ["output", "postrouting", "prerouting", "input"]


def test_switched_without_br_netfilter_is_seen_by_the_bridge_alone() -> None:
    journey = recorded_journey("switched")
    assert [visit.hook for visit in journey.switched] == ["prerouting", "forward", "postrouting"]
    assert journey.switched[1].iif == "vethsib"
    assert journey.switched[1].oif == "vethhttpd"


def test_unreachable_families_have_no_conntrack() -> None:
    """With an empty ip6tables the kernel runs no conntrack for IPv6, and the instrument starts none."""
    found = {True: 0, False: 0}  # by whether conntrack has seen the packet
    for message in recorded.load("proxy-ipv6").messages:
        values = attributes(message, 20)  # after the headers of netlink and nfnetlink
        if values.get(NETWORK_HEADER, b"\0")[0] >> 4 == 6:
            found[CT_ID in values] += 1
    assert not found[True]
    assert found[False]


def test_events_of_several_packets_may_come_mixed() -> None:
    """Interleaving keeps each packet's own order, and nothing else can be relied on."""
    first, second = recorded.load("dnat-forward"), recorded.load("masquerade")
    one, other = first.events(), second.events()
    assert not {event.id for event in one} & {event.id for event in other}
    chooser = random.Random(1)
    assembler = Assembler("host", first.base_chains + second.base_chains)
    while one or other:
        source = one if one and (not other or chooser.random() < 0.5) else other
        recorded.feed(assembler, source.pop(0))
    index = recorded.Index(assembler.hook_passes)
    for recording in (first, second):
        paths = recorded.find_paths(recording.flow, recording.result(), index, recording.facts)
        assert [hook_pass.hook for hook_pass in paths.forth] == ["prerouting", "forward", "postrouting"]


def test_a_key_reads_back_and_reverses() -> None:
    key = recorded.load("dnat-forward").key
    assert packet_of(key).dst == "198.51.100.1:80"
    assert packet_of(reverse(key)).src == "198.51.100.1:80"
    assert reverse(reverse(key)) == key


def test_json_goes_there_and_back() -> None:
    for name in recorded.NAMES:
        journey = recorded_journey(name)
        assert Journey.from_json(journey.to_json()) == journey
