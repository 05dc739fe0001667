"""All packets at once agree with single ones: regions are disjoint and complete, and each packet of one has
the journey that the same model predicts for it alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import netlab
from netlab.exposure import diagrams
from netlab.exposure.difference import compare
from netlab.exposure.exposure import Exposure, Part
from netlab.exposure.fate import UNSURE
from netlab.exposure.lines import Region
from netlab.exposure.proof import Proof
from netlab.exposure.witness import disagreement, witnesses
from netlab.model.family import Family
from netlab.model.flow import Flow, Target
from netlab.predict.predictor import Predictor

SCENARIOS = Path(__file__).parents[3] / "scenarios"
#: (file, engine, where packets enter): chains of each engine, routing, firewalls, both ways in
CASES = [
    ("httpd", None, "outside"),
    ("httpd", "docker-29-nftables", "client"),
    ("two-networks", "docker-28", "outside"),
    ("ufw-docker", None, "outside"),
    ("routed", None, "neighbour"),
    ("docker-user", "docker-25", "host"),
]


def at_random(part: Part, region: Region, flow: Flow, chance: random.Random) -> Flow | None:
    """A packet of a region that differs from ``flow`` in one field, if chance finds one there."""
    for _ in range(8):
        port, source_port = chance.randrange(1, 65536), chance.randrange(1, 65536)
        one = Flow(
            flow.origin, flow.target, flow.family, flow.protocol,
            port if flow.port is not None else None,
            flow.address, flow.via, flow.source,
            source_port if flow.source_port is not None else None,
        )  # fmt: skip
        if part.has(region, one):
            return one
    return None


@pytest.mark.parametrize(("name", "engine", "origin"), CASES)
def test_regions_are_a_partition_and_agree_with_prediction(
    name: str, engine: str | None, origin: str
) -> None:
    options = {} if engine is None else {"engine": engine}
    plan = netlab.load_plan([SCENARIOS / f"{name}.yaml"], **options)
    exposure = Exposure.of(plan, origin)
    predictor, chance = Predictor.of(plan), random.Random(name)
    wrong, tried = [], 0
    for part in exposure.parts:
        union = part.diagrams.none
        for region in part.regions:
            assert union & region.packets == part.diagrams.none
            union |= region.packets
            found = [one.flow for one in witnesses(plan, part, region)]
            found += filter(None, (at_random(part, region, flow, chance) for flow in found[:4]))
            for flow in found if region.fate.word not in UNSURE else ():
                assert part.has(region, flow), flow
                tried += 1
                problem = disagreement(region.fate, predictor.journey(flow), plan)
                if problem is not None:
                    wrong.append(f"{flow} {flow.family.word}: {problem}")
        assert union == part.asked
    assert not wrong, "\n".join(wrong[:5])
    assert tried > 60


def test_the_lines_are_about_every_packet_once() -> None:
    exposure = netlab.Prediction(SCENARIOS / "httpd.yaml").exposure()
    for part in exposure.parts:
        left = part.asked
        for line in part.lines():
            here = left if line.box is None else left & part.boxes.packets([line.box])
            assert here != part.diagrams.none
            assert here & ~line.region.packets == part.diagrams.none
            left &= ~here
        assert left == part.diagrams.none


def test_what_is_told_of_httpd() -> None:
    exposure = netlab.Prediction(SCENARIOS / "httpd.yaml").exposure(target="198.51.100.1", family=4)
    assert str(exposure).splitlines() == [
        "ipv4 from ext0 of host",
        "  from 127.0.0.0/8, 172.17.0.1, 192.168.10.1, 198.51.100.1 → lost at host: its source or "
        "destination is not allowed there (martian)",
        "  icmp echo → host, local, sender's address kept",
        "  tcp 80, 443 from 172.17.0.0, 172.17.0.2-172.17.255.255, 192.168.10.10 → httpd, forward, which "
        "sees 192.168.10.1 (rule -A DOCKER -d 192.168.10.10/32 ! -i docker_httpd -o docker_httpd -p tcp "
        "-m tcp --dport 443 -j ACCEPT and 1 more)",
        "  tcp 80, 443 → httpd, forward, sender's address kept (rule -A DOCKER -d 192.168.10.10/32 "
        "! -i docker_httpd -o docker_httpd -p tcp -m tcp --dport 443 -j ACCEPT and 1 more)",
        "  everything else → host, where nothing listens",
    ]


def test_pure_python_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    prediction = netlab.Prediction(SCENARIOS / "httpd.yaml")
    usual = str(prediction.exposure())
    asked: list[str] = []
    library = diagrams._library

    def without_cudd(name: str) -> object:
        asked.append(name)
        if name == "cudd":
            raise ImportError(name)
        return library(name)

    monkeypatch.setattr(diagrams, "_library", without_cudd)
    assert str(prediction.exposure()) == usual
    assert "autoref" in asked


def test_without_the_package_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(diagrams, "_library", nothing)
    with pytest.raises(netlab.MachineError, match="pip install dd"):
        netlab.Prediction(SCENARIOS / "httpd.yaml").exposure()


SCENARIO = """
services:
  web:
    image: nginx
    ports: ["80:80"]
x-netlab:
  host:
    engine: docker-28
    rules: [{rules}]
"""


def scenario(tmp_path: Path, *rules: str) -> netlab.Prediction:
    file = tmp_path / "case.yaml"
    file.write_text(SCENARIO.replace("{rules}", ", ".join(f'"{rule}"' for rule in rules)))
    return netlab.Prediction(file)


def test_the_mac_address_of_somebody_outside_is_not_guessed(tmp_path: Path) -> None:
    rule = "iptables -I DOCKER-USER -m mac --mac-source 02:00:00:00:00:01 -j DROP"
    (part,) = scenario(tmp_path, rule).exposure(family=4).parts
    (region,) = [one for one in part.regions if one.fate.word == "depends"]
    assert region.fate.why.endswith("depends on the sender's MAC address")


@pytest.mark.parametrize(
    "match", ["-m limit --limit 1/min", "-m quota --quota 5", "-m recent --name x --rcheck"]
)
def test_what_depends_on_more_than_a_packet_is_a_region(tmp_path: Path, match: str) -> None:
    exposure = scenario(tmp_path, f"iptables -I DOCKER-USER {match} -j DROP").exposure(family=4)
    words = [region.fate.why for region in exposure.parts[0].regions if region.fate.word == "depends"]
    assert len(words) == 1
    assert f"{match} -j DROP in filter DOCKER-USER of host depends on {match.partition(' --')[0]}" in words[0]
    assert not any(region.fate.node == "web" and region.fate.open for region in exposure.parts[0].regions)


def test_what_makes_no_difference_is_none(tmp_path: Path) -> None:
    exposure = scenario(tmp_path, "iptables -I DOCKER-USER -m limit --limit 1/min -j RETURN").exposure(
        family=4
    )
    assert "depends" not in {region.fate.word for region in exposure.parts[0].regions}


def test_a_rule_of_the_administrator_ends_exactly_its_packets(tmp_path: Path) -> None:
    rule = "iptables -I DOCKER-USER -s 203.0.113.0/28 -p tcp -m tcp --sport 1024:2047 -j DROP"
    (part,) = scenario(tmp_path, rule).exposure(family=4).parts
    (region,) = [one for one in part.regions if one.fate.by and one.fate.by[2] == "DOCKER-USER"]
    assert {line.box is None for line in part.lines() if line.region is region} == {False}
    box = next(box for box in part.boxes.cover(region.packets) if "sport" in box)
    assert box["sport"] == ((1024, 2047),)
    assert box["src"] == ((0xCB007100, 0xCB00710F),)


def test_two_engines_differ_in_exact_sets() -> None:
    plans = [
        netlab.load_plan([SCENARIOS / "direct-access.yaml"], engine=one) for one in ("docker-27", "docker-28")
    ]
    (found,) = compare((plans[0], plans[1]), "outside", "192.168.10.10", [Family.IPV4])
    closed = [change for change in found.changes if change.opens is False]
    assert closed
    for change in closed:
        assert change.before.node == "httpd"
        assert change.after.by is not None
        assert change.after.by[:3] == ("ip", "raw", "PREROUTING")
        assert change.witness is not None
        before, after = (Predictor.of(plan).journey(change.witness) for plan in plans)
        assert disagreement(change.before, before, plans[0]) is None
        assert disagreement(change.after, after, plans[1]) is None
    assert not any(change.opens for change in found.changes)


def test_a_plan_does_not_differ_from_itself() -> None:
    plan = netlab.load_plan([SCENARIOS / "httpd.yaml"])
    assert [one.changes for one in compare((plan, plan))] == [[], []]


def test_a_journey_that_says_otherwise_is_a_disproof() -> None:
    plan = netlab.load_plan([SCENARIOS / "httpd.yaml"])
    exposure = Exposure.of(plan, "client", "192.168.10.10", [Family.IPV4])
    proof = Proof.of(exposure)
    predictor = Predictor.of(netlab.load_plan([SCENARIOS / "httpd.yaml"], engine="docker-29-nftables"))
    other = [predictor.journey(one.flow) for one in proof.asked]
    other[0] = predictor.journey(
        Flow("client", proof.asked[0].flow.target, Family.IPV4, "tcp", 443, "192.168.10.10")
    )
    assert Proof.of(exposure).judge(exposure, other).wrong


def test_what_is_expected_holds_or_names_the_region() -> None:
    prediction = netlab.Prediction(SCENARIOS / "httpd.yaml", engine="docker-28")
    both = ["host:80/tcp", "host:443/tcp"]
    prediction.exposure(reaches=both, nothing_else=True)
    with pytest.raises(netlab.ExposureFailed) as caught:
        prediction.exposure(reaches=["host:80/tcp"], nothing_else=True)
    offence = caught.value.offences[0]
    assert "tcp 443 to " in offence.text
    assert "httpd" in offence.text
    assert offence.witness is not None
    assert (offence.witness.port, offence.witness.protocol) == (443, "tcp")
    with pytest.raises(netlab.ExposureFailed, match="host:81/tcp is not reached by any packet"):
        prediction.exposure(reaches=["host:81/tcp"])


def test_what_may_be_open_is_no_success(tmp_path: Path) -> None:
    prediction = scenario(tmp_path, "iptables -I DOCKER-USER -m limit --limit 1/min -j DROP")
    with pytest.raises(netlab.ExposureFailed, match="whether a packet reaches host:80 is not known: ") as one:
        prediction.exposure(reaches=["host:80"], family=4)
    assert not one.value.offences[0].sure
    with pytest.raises(netlab.ExposureFailed, match="which may be open") as other:
        prediction.exposure(family=4, nothing_else=True)
    assert [offence.sure for offence in other.value.offences] == [False]


@pytest.mark.parametrize(
    ("protocol", "word"), [("tcp", "lost"), ("udp", "lost"), ("sctp", "lost"), ("icmp", "lost")]
)
def test_nothing_answers_at_a_broadcast_address(tmp_path: Path, protocol: str, word: str) -> None:
    exposure = scenario(tmp_path).exposure(target="172.17.255.255", family=4)
    number = diagrams.PROTOCOLS.index(protocol)  # type: ignore[arg-type]
    (part,) = exposure.parts
    asked = part.diagrams.field("protocol", [(number, number)])
    ends = {one.fate.why for one in part.regions if one.packets & asked != part.diagrams.none}
    assert ends == {
        "host answers nobody at a broadcast address",
        "its source or destination is not allowed there (martian)",
    }
    assert {one.fate.word for one in part.regions} == {word}


def test_a_datagram_to_a_broadcast_address_reaches_who_listens_everywhere() -> None:
    prediction = netlab.Prediction(SCENARIOS / "udp.yaml")
    exposure = prediction.exposure(target="198.51.100.255", family=4)
    (region,) = [one for one in exposure.parts[0].regions if one.fate.open]
    assert (region.fate.proxy, region.fate.service, region.fate.path) == ("docker-proxy", "dns", "proxy")
    prediction.exposure(reaches=["198.51.100.255:53/udp"], family=4)


@pytest.mark.parametrize(
    ("source", "destination", "word"),
    [
        ("224.0.0.1", "198.51.100.1", "timeout"),
        ("255.255.255.255", "198.51.100.1", "timeout"),
        ("0.0.0.1", "198.51.100.1", "timeout"),
        ("198.51.100.2", "0.0.0.0", "timeout"),
        ("198.51.100.2", "255.255.255.255", "timeout"),
        ("198.51.100.2", "224.0.0.1", "unpredicted"),
        ("198.51.100.2", "169.254.1.1", "unreachable"),
    ],
)
def test_addresses_of_no_single_machine_by_hand(source: str, destination: str, word: str) -> None:
    prediction = netlab.Prediction(SCENARIOS / "httpd.yaml")
    flow = Flow(
        "client", Target(address=destination), Family.IPV4, "tcp", 80, destination, via="host", source=source
    )
    assert prediction.probe(flow).outcome == word


def test_after_events_that_no_plan_has_nothing_is_claimed(tmp_path: Path) -> None:
    file = tmp_path / "case.yaml"
    text = "services: {web: {image: nginx, ports: ['80:80']}}\nx-netlab: {events: [run host iptables -F]}\n"
    file.write_text(text)
    exposure = netlab.Prediction(file).exposure(family=4)
    assert [region.fate.word for region in exposure.parts[0].regions] == ["unknown"]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ({"origin": "cleint"}, "did you mean client"),
        ({"target": "htpd"}, "did you mean httpd"),
        ({"reaches": ["localhost:80"]}, "expected a node or an address"),
        ({"reaches": ["host:80/tpc"]}, "tpc"),
    ],
)
def test_wrong_words_are_named(words: dict[str, object], wrong: str) -> None:
    with pytest.raises(netlab.UsageError, match=wrong):
        netlab.Prediction(SCENARIOS / "httpd.yaml").exposure(**words)  # type: ignore[arg-type]
