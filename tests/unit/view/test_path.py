"""The picture of a packet's path: every hook and rule of a journey is in it, in order, and text is text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len
from support.recorded import JOURNEYS, SCENARIO

import netlab
from netlab.model.journey import DecidedBy, HookVisit, Journey, Leg, Nat, Packet, RuleHit
from netlab.model.shown import shown_in_line
from netlab.view import path
from netlab.view.path.base_chains import base_chains
from netlab.view.path.scene import ChainVisit, picture
from netlab.view.svg import cells, folded

ROOT = Path(__file__).parents[3]
SVG = "{http://www.w3.org/2000/svg}"
PLAN = netlab.load_plan([SCENARIO])
#: With one source port for all, so that the drawings are the same after they are recorded again.
RECORDED = [
    Journey.from_json(json.loads(re.sub(r':[1-6]\d{4}"', ':40000"', line)))
    for line in JOURNEYS.read_text().splitlines()
]
HOSTILE = '</text><script>alert(1)</script><!-- "]]>\n\x1b[31m\u202e'


def recorded(origin: str, to: str) -> list[Journey]:
    return [one for one in RECORDED if (one.flow.origin, one.flow.to) == (origin, to)]


def named(journey: Journey) -> str:
    return f"{journey.flow.origin}-{journey.flow.to}-{journey.flow.family}"


def texts(drawing: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def hooks_of(journey: Journey) -> list[str]:
    legs = [*journey.legs, *journey.replies]
    return [visit.hook for leg in legs for visit in leg.hooks] + [
        f"bridge {visit.hook}" for visit in journey.switched
    ]


@pytest.mark.parametrize("plan", [PLAN, None], ids=["plan", "alone"])
@pytest.mark.parametrize("journey", RECORDED, ids=named)
def test_every_hook_is_numbered_in_the_order_of_the_packet(journey: Journey, plan: Any) -> None:
    wanted = [f"{number} {hook.upper()}" for number, hook in enumerate(hooks_of(journey), 1)]
    drawn = texts(path.svg([journey], plan))
    assert sorted(one for one in drawn if one in wanted) == sorted(wanted)
    lines = path.text([journey], plan).splitlines()
    boxes = [" ".join(line.split()[1:3]) for line in lines if line.startswith("┏")]
    assert boxes == wanted


@pytest.mark.parametrize("journey", RECORDED, ids=named)
def test_every_base_chain_that_reported_is_a_visited_chain_with_its_verdict(journey: Journey) -> None:
    scenes = picture(journey, PLAN).scenes
    for visit, stage in zip(
        (visit for leg in journey.legs for visit in leg.hooks),
        (stage for scene in scenes for stage in scene.stages),
        strict=True,
    ):
        assert stage.hook == visit.hook
        shown = [chain for chain in stage.chains if chain.verdict]
        for hit in visit.rules:
            name = f"{hit.family} {hit.table} {hit.chain}"
            assert any(name == one.name or hit.chain in one.entered for one in shown), name
        if visit.rules:
            assert shown[-1].verdict == visit.rules[-1].verdict


@pytest.mark.parametrize("journey", RECORDED, ids=named)
def test_what_decided_is_marked_once_and_named(journey: Journey) -> None:
    states = [
        chain.state
        for scene in picture(journey, PLAN).scenes
        for stage in scene.stages
        for chain in stage.chains
        if chain.state in ("allowed", "stopped")
    ]
    decided = journey.decided_by
    assert len(states) == (decided.kind in ("rule", "policy"))
    words = " ".join(path.text([journey], PLAN).split())
    if decided.rule and decided.kind == "rule":
        assert decided.rule in words
        assert f"Reason: {decided.reason}" in words
    assert (states == ["stopped"]) == (journey.outcome == "timeout")


def test_addresses_are_written_where_they_change() -> None:
    (journey,) = [one for one in recorded("client", "host:80/tcp") if one.flow.family == "ipv4"]
    pre, forward, post = picture(journey, PLAN).scenes[0].stages
    assert pre.changed
    assert pre.left.dst == "192.168.10.10:80"
    assert not forward.changed
    assert not post.changed
    assert f"⇒ {pre.left.src} → 192.168.10.10:80" in texts(path.svg([journey], PLAN))


def test_both_legs_of_a_proxied_connection() -> None:
    (journey,) = [one for one in recorded("client", "host:80/tcp") if one.flow.family == "ipv6"]
    first, second = picture(journey, PLAN).scenes
    assert (first.taker, second.sender) == ("docker-proxy", "docker-proxy")
    assert second.title == "host (docker-proxy's own connection)"
    # Docker 20.10 writes no IPv6 rules; the proxy's own connection is IPv4.
    assert first.stages[0].chains == ()
    assert [one.name for one in second.stages[0].chains] == [
        "conntrack",
        "ip nat OUTPUT",
        "ip filter OUTPUT",
    ]


def test_the_seed_in_the_terminal() -> None:
    drawn = path.text(recorded("client", "host:80/tcp"), PLAN)
    assert drawn == (Path(__file__).parent / "client-host-80.txt").read_text()


def test_the_heavy_lines_are_the_way_of_the_packet() -> None:
    """As many arrows as the packet took steps: in, to the routing decision, on, and out."""
    (forward,) = [one for one in recorded("client", "host:80/tcp") if one.flow.family == "ipv4"]
    root = ElementTree.fromstring(path.svg([forward], PLAN))
    assert sum(one.get("class") == "way" for one in root.iter(f"{SVG}polyline")) == 5
    (dropped,) = recorded("client", "httpd@nw:9/tcp")
    root = ElementTree.fromstring(path.svg([dropped], PLAN))
    assert sum(one.get("class") == "way" for one in root.iter(f"{SVG}polyline")) == 3
    assert "✕ dropped here" in texts(path.svg([dropped], PLAN))


def test_families_are_side_by_side_and_flows_below_each_other() -> None:
    flows = [
        *recorded("client", "host:80/tcp"),
        *recorded("host", "localhost:443/tcp"),
        *recorded("client", "httpd@nw:9/tcp"),
    ]
    groups = list(path.of_one_flow(flows))
    assert [[one.flow.family for one in group] for group in groups] == [
        ["ipv4", "ipv6"],
        ["ipv4", "ipv6"],
        ["ipv4"],
    ]
    root = ElementTree.fromstring(path.svg(flows, PLAN))
    at = {
        one.text: (float(one.get("x") or 0), float(one.get("y") or 0))
        for one in root.iter(f"{SVG}text")
        if one.text in ("IPv4: ok, forward", "IPv6: ok, proxy", "IPv4: timeout, forward")
    }
    assert at["IPv4: ok, forward"][0] < at["IPv6: ok, proxy"][0]
    assert at["IPv4: timeout, forward"][1] > at["IPv4: ok, forward"][1]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    for journeys in path.of_one_flow([*RECORDED, hostile()]):
        pictures = [(one, picture(one, PLAN)) for one in journeys]
        drawn = path.written.text(pictures, width)
        assert max(map(cell_len, drawn.splitlines())) <= width


def hostile() -> Journey:
    """A dropped packet with hostile text in every field that a picture shows."""
    chain = f"CHAIN{HOSTILE}"
    hits = (
        RuleHit("ip", "filter", "FORWARD", f"-A FORWARD -j {chain}", f"jump {chain}", HOSTILE),
        RuleHit(
            "ip", "filter", chain, f'-A {chain} -m comment --comment "{HOSTILE}" -j DROP', "drop", HOSTILE
        ),
    )
    visit = HookVisit("forward", f"in{HOSTILE}", f"out{HOSTILE}", Packet("192.0.2.1:1", "192.0.2.2:2"), hits)
    (seed,) = recorded("client", "httpd@nw:9/tcp")
    decided = DecidedBy("rule", "host", "ip", "forward", "filter", chain, hits[1].rule, "drop", HOSTILE)
    flow = replace(seed.flow, origin=f"a{HOSTILE}", to=f"b{HOSTILE}")
    return replace(seed, flow=flow, decided_by=decided, legs=(Leg(f"h{HOSTILE}", None, Nat(), (visit,)),))


def test_hostile_text_is_text() -> None:
    drawing = path.svg([hostile()], PLAN)
    names = {one.tag.removeprefix(SVG) for one in ElementTree.fromstring(drawing).iter()}
    assert names == {"svg", "title", "desc", "style", "g", "rect", "polyline", "text"}
    joined = "".join("".join(texts(drawing)).split())
    assert "".join(shown_in_line(f"CHAIN{HOSTILE}").split()) in joined
    written = path.text([hostile()], PLAN)
    assert shown_in_line(written.replace("\n", "")) == written.replace("\n", "")


def test_bridge_hooks_are_below() -> None:
    (seed,) = recorded("httpd", "httpd@nw:80/tcp")
    visits = tuple(
        HookVisit(hook, "a", "b", Packet("1.1.1.1:1", "2.2.2.2:2")) for hook in ("prerouting", "forward")
    )
    drawn = path.text([replace(seed, switched=visits)])
    assert "1 bridge prerouting" in drawn
    assert drawn.index("1 bridge prerouting") < drawn.index("2 bridge forward")
    assert "2 BRIDGE FORWARD" in texts(path.svg([replace(seed, switched=visits)]))


def test_a_hook_that_is_passed_twice_begins_a_diagram_anew() -> None:
    (seed,) = [one for one in recorded("client", "host:80/tcp") if one.flow.family == "ipv4"]
    (leg,) = seed.legs
    twice = replace(seed, legs=(replace(leg, hooks=(*leg.hooks, *leg.hooks)),))
    assert [scene.title for scene in picture(twice).scenes] == ["host", "host, again"]


def chains(engine: str, firewall: str = "none") -> dict[str, list[str]]:
    plan = netlab.load_plan([SCENARIO], engine=engine, firewall=firewall)
    found: dict[str, list[str]] = {}
    for chain in base_chains(plan.node("host"), "ip"):
        found.setdefault(chain.hook, []).append(
            f"{chain.family} {chain.table} {chain.name}".replace("  ", " ")
        )
    return found


def test_the_order_of_chains_is_that_of_priorities() -> None:
    assert chains("docker-28")["prerouting"] == ["ip raw PREROUTING", "ip conntrack", "ip nat PREROUTING"]
    assert chains("docker-28")["input"] == ["ip filter INPUT", "ip nat INPUT"]
    assert chains("docker-29-nftables")["forward"] == ["ip docker-bridges filter-FORWARD"]
    firewalld = chains("docker-29-nftables", "firewalld")
    assert firewalld["forward"] == ["ip docker-bridges filter-FORWARD", "inet firewalld filter_FORWARD"]
    assert firewalld["prerouting"][0].startswith(
        ("ip docker-bridges raw", "inet firewalld mangle", "ip conntrack")
    )


def test_a_visited_chain_that_the_plan_does_not_know_stands_where_it_was_met() -> None:
    (seed,) = [one for one in recorded("client", "host:80/tcp") if one.flow.family == "ipv4"]
    pre, *others = seed.legs[0].hooks
    mine = RuleHit("ip", "mine", "early", None, "policy accept")
    changed = replace(
        seed, legs=(replace(seed.legs[0], hooks=(replace(pre, rules=(mine, *pre.rules)), *others)),)
    )
    chains = picture(changed, PLAN).scenes[0].stages[0].chains
    assert [one.name for one in chains] == ["conntrack", "ip mine early", "ip nat PREROUTING"]
    assert chains[1] == ChainVisit("ip mine early", "passed", (), "policy accept")


@pytest.mark.parametrize("words", ["", "a", "a b c", "網" * 9, "x" * 50, f"aa {'y' * 23} b"])
def test_folding_loses_nothing(words: str) -> None:
    lines = folded(words, 10, "  ")
    assert max(map(cells, lines)) <= 10
    assert "".join("".join(lines).split()) == "".join(words.split())
