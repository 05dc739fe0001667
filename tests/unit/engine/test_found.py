"""What others did to a host meanwhile: the next event acts on it, as a real daemon's does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.engine.contract import Refused
from netlab.engine.found import changes
from netlab.model.errors import UsageError
from netlab.model.event import (
    ContainerRestart,
    ContainerSpec,
    ContainerStart,
    ContainerStop,
    DaemonConfigure,
    DaemonStart,
    DaemonStop,
    EndpointSpec,
    Event,
    FirewallReload,
    HostReboot,
    NetworkCreate,
    NetworkRemove,
    NetworkSpec,
)
from netlab.model.family import FAMILIES, Family
from netlab.model.observation import Observation
from netlab.model.problem import Position
from netlab.model.rules import ADDED_SINCE, IptablesRuleset, NftTable, Ruleset
from netlab.model.scenario import Firewall, Host, OutsideInterface, Pool, PortMapping
from netlab.plan.build import EngineOnHost, refold, rulesets
from netlab.plan.render import nft_text, restore_text

HERE = Position("scenario.yaml", 1, 1)
HOST = Host("host", HERE, interfaces=(OutsideInterface("ext0", ("198.51.100.1/24", "2001:db8:1::1/64")),))
WEB = ContainerSpec(
    "web",
    "web",
    "a" * 64,
    "front",
    (EndpointSpec("front"),),
    (PortMapping(80, "tcp", (80, 80)),),
    restart="always",
)
UP = (
    NetworkCreate(NetworkSpec("front", "b" * 64, pools=(Pool("192.0.2.0/24"),), label="front")),
    ContainerStart(WEB),
)
RESTART = (DaemonStop(), DaemonStart())


def up(engine: str) -> EngineOnHost:
    return refold(replace(HOST, engine=engine), UP)


def save(stood: EngineOnHost) -> dict[Family, str]:
    """What iptables-save prints on the host."""
    text = dict.fromkeys(FAMILIES, "")
    for ruleset in stood.facts.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            text[ruleset.family] = restore_text(ruleset)
    return text


def found(stood: EngineOnHost, rules: dict[Family, str], **sysctls: str) -> EngineOnHost:
    """The engine on the host as others have made it."""
    values = {key.replace("__", "."): value for key, value in sysctls.items()}
    differs = changes(stood.facts, Observation(rules, values))
    return stood if differs is None else stood.after([differs])


def lines(stood: EngineOnHost) -> list[str]:
    return [line for text in save(stood).values() for line in text.splitlines()]


ENGINES = ("docker-20.10", "docker-26", "docker-28", "docker-29")
EMPTY = dict.fromkeys(FAMILIES, "")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_nobody_changed_is_no_finding(engine: str) -> None:
    stood = up(engine)
    assert changes(stood.facts, Observation(save(stood), {"net.ipv4.ip_forward": "1\n"})) is None


@pytest.mark.parametrize("engine", ENGINES)
def test_a_daemon_writes_all_its_rules_again_and_leaves_the_policy(engine: str) -> None:
    stood = up(engine)
    whole = [line for line in lines(stood.after(RESTART)) if line.startswith("-A")]
    again = found(stood, EMPTY).after(RESTART)
    assert sorted(line for line in lines(again) if line.startswith("-A")) == sorted(whole)
    assert ":FORWARD DROP" in lines(stood)
    assert ":FORWARD DROP" not in lines(again)  # it did not turn forwarding on: that was on
    off = found(stood, EMPTY, net__ipv4__ip_forward="0").after(RESTART)
    assert ":FORWARD DROP" in lines(off)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_container_does_not_start_where_docker_s_chains_are_gone(engine: str) -> None:
    stood = found(up(engine), EMPTY).after([ContainerRestart("web")])
    facts = stood.facts
    assert [container.running for container in facts.containers] == [False]
    (failure,) = facts.failures
    assert failure.startswith(
        "driver failed programming external connectivity on endpoint web: iptables failed"
    )
    assert "No chain/target/match by that name; web does not run" in failure
    assert not [line for line in lines(stood) if "192.0.2.2" in line and "DNAT" in line]
    assert not facts.publications
    back = stood.after(RESTART).facts
    assert [container.running for container in back.containers] == [True]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_is_not_made_where_docker_s_chains_are_gone(engine: str) -> None:
    more: Event = NetworkCreate(NetworkSpec("more", "c" * 64, pools=(Pool("203.0.113.0/24"),)))
    facts = found(up(engine), EMPTY).after([more]).facts
    assert "more" not in [network.facts.name for network in facts.networks]
    assert facts.failures[0].startswith("Failed to Setup IP tables: iptables failed: iptables --wait -t ")


def test_rules_of_others_stay_where_they_are_with_a_reason_of_their_own() -> None:
    stood = up("docker-20.10")
    rules = save(stood)
    old = "-A FORWARD -j DOCKER-USER\n"
    rules[Family.IPV4] = rules[Family.IPV4].replace(old, f"-A FORWARD -s 203.0.113.9/32 -j DROP\n{old}")
    later = found(stood, rules)
    (ruleset,) = (r for r in later.facts.rulesets if isinstance(r, IptablesRuleset) and r.family == 4)
    table = ruleset.table("filter")
    assert table is not None
    forward = table.chain("FORWARD")
    assert forward is not None
    reasons = {rule.text: rule.reason for rule in forward.rules}
    assert reasons["-s 203.0.113.9/32 -j DROP"] == ADDED_SINCE
    assert ADDED_SINCE not in [reason for text, reason in reasons.items() if "203.0.113.9" not in text]
    # a new start of the daemon moves its own jump to the top, and nobody else's rule
    chain = [line for line in lines(later.after(RESTART)) if line.startswith("-A FORWARD")]
    assert chain.index("-A FORWARD -s 203.0.113.9/32 -j DROP") > chain.index("-A FORWARD -j DOCKER-USER")


def test_a_doubled_rule_is_taken_out_once() -> None:
    stood = up("docker-28")
    rules = save(stood)
    (accept,) = [x for x in rules[Family.IPV4].splitlines() if x.startswith("-A DOCKER -d 192.0.2.2/32")]
    rules[Family.IPV4] = rules[Family.IPV4].replace(accept, f"{accept}\n{accept}")
    assert lines(found(stood, rules).after([ContainerRestart("web")])).count(accept) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reboot_is_a_first_start_with_what_the_daemon_remembers(engine: str) -> None:
    stood = found(up(engine), EMPTY, net__ipv4__ip_forward="0")
    rebooted = stood.after([DaemonStop(), HostReboot()])
    assert sorted(lines(rebooted)) == sorted(lines(up(engine)))
    facts = rebooted.facts
    assert [container.running for container in facts.containers] == [True]
    assert [i.index for i in facts.interfaces if i.kind == "bridge"] == [3, 4]
    stopped = up(engine).after([ContainerStart(replace(WEB, node="b", name="b", ports=(), restart="no"))])
    facts = stopped.after([HostReboot()]).facts
    assert [c.spec.node for c in facts.containers if c.running] == ["web"]


@pytest.mark.parametrize("engine", ENGINES)
def test_daemon_json_counts_when_the_daemon_starts(engine: str) -> None:
    edit = DaemonConfigure((("userland-proxy", False), ("icc", False)))
    stood = up(engine).after([edit])
    assert lines(stood) == lines(up(engine))
    again = stood.after(RESTART)
    assert "-A POSTROUTING -o docker0 -m addrtype --src-type LOCAL -j MASQUERADE" in lines(again)
    assert any("-i docker0 -o docker0 -j DROP" in line for line in lines(again))
    assert {listener.backend for listener in again.facts.listeners} == {None}  # dockerd holds the sockets
    back = again.after([DaemonConfigure((("userland-proxy", None), ("icc", None))), *RESTART])
    assert None not in {listener.backend for listener in back.facts.listeners}
    with pytest.raises(Refused, match="don't match any configuration option"):
        up(engine).after([DaemonConfigure((("nonsense", 1),)), *RESTART])


def test_the_other_backend_takes_over_when_the_daemon_starts() -> None:
    stood = up("docker-29").after([DaemonConfigure((("firewall-backend", "nftables"),)), *RESTART])
    facts = stood.facts
    assert facts.engine == "docker-29-nftables"
    native = [ruleset.name for ruleset in facts.rulesets if isinstance(ruleset, NftTable)]
    assert native == ["docker-bridges", "docker-bridges"]
    # what is left of iptables: the administrator's chain, and the policy that now drops (docs of moby 29)
    left = [line for line in save(stood)[Family.IPV4].splitlines() if line[:2] == "-A" or "DROP" in line]
    assert left == [":FORWARD DROP", "-A FORWARD -j DOCKER-USER"]
    back = stood.after([DaemonConfigure((("firewall-backend", "iptables"),)), *RESTART])
    assert back.facts.engine == "docker-29"
    assert sorted(lines(back)) == sorted(lines(up("docker-29").after(RESTART)))
    assert not [r for r in back.facts.rulesets if isinstance(r, NftTable)]


@pytest.mark.parametrize("engine", ENGINES)
def test_containers_outlive_a_daemon_with_live_restore(engine: str) -> None:
    stood = refold(replace(HOST, engine=engine, daemon={"live-restore": True}), UP)
    down = stood.after([DaemonStop()])
    assert lines(down) == lines(stood)
    assert [container.running for container in down.facts.containers] == [True]
    assert down.facts.containers[0].starts == 1
    assert not down.facts.listeners  # dockerd's own and its children's
    back = down.after([DaemonStart()])
    assert sorted(lines(back)) == sorted(lines(stood))
    assert back.facts.listeners == stood.facts.listeners
    assert back.facts.containers == stood.facts.containers
    more = ContainerStart(replace(WEB, node="more", name="more", id="d" * 64))
    with pytest.raises(Refused, match="port is already allocated"):
        back.after([more])


@pytest.mark.parametrize("engine", ENGINES)
def test_who_shares_a_namespace_is_left_with_lo_until_it_starts_again(engine: str) -> None:
    side = replace(WEB, node="side", name="side", id="e" * 64, network_mode="container:web", endpoints=())
    stood = up(engine).after([ContainerStart(replace(side, ports=()))])

    def namespace(of: EngineOnHost) -> str:
        return next(one.namespace for one in of.facts.containers if one.spec.node == "side")

    assert namespace(stood) == "web"
    assert namespace(stood.after([ContainerRestart("web")])) == ""
    assert namespace(stood.after([ContainerStop("web")])) == ""
    assert namespace(stood.after([ContainerRestart("web"), ContainerRestart("side")])) == "web"
    assert namespace(stood.after(RESTART)) == "web"


# -- the nftables backend


def listing(table: NftTable) -> str:
    """What ``nft list table`` prints."""
    parts = ["\n".join(f"\t{line}" for line in text.splitlines()) for text in table.objects]
    for chain in table.chains:
        lines = [f"\t\t{chain.hook};"] if chain.hook else []
        lines += [f"\t\t{rule.text}" for rule in chain.rules]
        parts.append("\n".join([f"\tchain {chain.name} {{", *lines, "\t}"]))
    return "\n".join([f"table {table.family} {table.name} {{", "\n\n".join(parts), "}"])


def native(stood: EngineOnHost) -> dict[str, NftTable]:
    return {r.family: r for r in stood.facts.rulesets if isinstance(r, NftTable)}


def seen_native(stood: EngineOnHost, text: str) -> EngineOnHost:
    """The engine on a host whose IPv4 table of Docker's somebody changed; an empty text: deleted."""
    differs = changes(stood.facts, Observation({}, {}, {("ip", "docker-bridges"): text}))
    return stood if differs is None else stood.after([differs])


def texts(table: NftTable, chain: str) -> list[str]:
    return next([rule.text for rule in c.rules] for c in table.chains if c.name == chain)


MORE = NetworkCreate(NetworkSpec("more", "c" * 64, pools=(Pool("203.0.113.0/24"),)))
INTO_FRONT = "filter-forward-in__br-bbbbbbbbbbbb"


def test_native_rules_that_nobody_changed_are_no_finding() -> None:
    stood = up("docker-29-nftables")
    for table in native(stood).values():
        seen = Observation({}, {}, {(table.family, table.name): listing(table)})
        assert changes(stood.facts, seen) is None


def test_an_event_writes_the_native_chains_that_it_changes() -> None:
    stood = up("docker-29-nftables")
    whole = native(stood)["ip"]
    gone = seen_native(stood, "")
    assert list(native(gone)) == ["ip6"]
    again = native(gone.after([ContainerRestart("web")]))["ip"]
    assert {c.name for c in again.chains} == {"raw-PREROUTING", "nat-prerouting-and-output", INTO_FRONT}
    assert not any("elements" in text for text in again.objects)  # so nothing leads to the network's chain
    for chain in ("raw-PREROUTING", "nat-prerouting-and-output", INTO_FRONT):
        assert texts(again, chain) == texts(whole, chain)


@pytest.mark.parametrize("events", [RESTART, (NetworkRemove("more"),)])
def test_the_native_table_comes_back_as_a_whole(events: tuple[Event, ...]) -> None:
    """With the daemon; or where a transaction fails, for what it takes out is not there."""
    stood = up("docker-29-nftables").after([MORE])
    both = [native(one.after(events))["ip"] for one in (stood, seen_native(stood, ""))]
    assert {*both[0].chains} == {*both[1].chains}
    assert {*both[0].objects} == {*both[1].objects}


def test_native_rules_of_others_stay_until_their_chain_is_written() -> None:
    stood = up("docker-29-nftables")
    mine = "\tchain mine {\n\t\tip saddr 203.0.113.9 drop\n\t}\n}"
    text = listing(native(stood)["ip"]).removesuffix("}") + mine
    drop = "ip saddr 203.0.113.7 drop"
    for chain in ("filter-FORWARD", INTO_FRONT):
        head = f"\tchain {chain} {{\n"
        head += "\t\ttype filter hook forward priority filter; policy accept;\n" * (chain == "filter-FORWARD")
        assert head in text
        text = text.replace(head, f"{head}\t\t{drop}\n")
    found_there = seen_native(stood, text)
    assert drop in texts(native(found_there)["ip"], INTO_FRONT)
    restarted = native(found_there.after([ContainerRestart("web")]))["ip"]
    assert drop in texts(restarted, "filter-FORWARD")
    assert drop not in texts(restarted, INTO_FRONT)
    assert texts(restarted, "mine") == ["ip saddr 203.0.113.9 drop"]
    daemon = native(found_there.after(RESTART))["ip"]
    assert drop not in texts(daemon, "filter-FORWARD")
    assert texts(daemon, "mine") == []


# -- beside firewalld


def with_firewalld(backend: str) -> EngineOnHost:
    firewall = Firewall("firewalld", options={"backend": backend})
    return refold(replace(HOST, engine="docker-28", firewall=firewall), UP)


def standing(stood: EngineOnHost) -> tuple[Ruleset, ...]:
    """All rules of the host, firewalld's among them."""
    return tuple(rulesets(stood.host, stood.facts))


def seen_of(stands: tuple[Ruleset, ...]) -> Observation:
    rules = {one.family: restore_text(one) for one in stands if isinstance(one, IptablesRuleset)}
    native = {(one.family, one.name): nft_text(one) for one in stands if isinstance(one, NftTable)}
    return Observation(dict.fromkeys(FAMILIES, "") | rules, {}, native)


def without(seen: Observation, *gone: str) -> Observation:
    """What is seen once every line that has one of these parts is gone."""

    def left(text: str) -> str:
        return "".join(x + "\n" for x in text.splitlines() if not any(part in x for part in gone))

    native = {key: left(text) for key, text in seen.native.items()}
    return Observation({family: left(text) for family, text in seen.rules.items()}, seen.sysctls, native)


def as_seen(stood: EngineOnHost, seen: Observation) -> EngineOnHost:
    differs = changes(stood.facts, seen, standing(stood))
    assert differs is not None
    return stood.after([differs])


MORE: Event = NetworkCreate(NetworkSpec("more", "c" * 64, pools=(Pool("203.0.113.0/24"),)))
BACKENDS = ("nftables", "iptables")


@pytest.mark.parametrize("backend", BACKENDS)
def test_firewalld_s_own_rules_are_no_finding(backend: str) -> None:
    stood = with_firewalld(backend)
    seen = seen_of(standing(stood))
    assert changes(stood.facts, seen, standing(stood)) is None
    shuffled = {
        key: text.replace("{ established, related }", "{ related, established }")
        for key, text in seen.native.items()
    }
    assert changes(stood.facts, replace(seen, native=shuffled), standing(stood)) is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_beside_firewalld_a_daemon_writes_again_what_others_deleted(backend: str) -> None:
    """The same for every rule as on a host to which nothing was done, firewalld's own chains included."""
    stood = with_firewalld(backend)
    found = as_seen(stood, without(seen_of(standing(stood)), "--dst-type LOCAL", "-j DOCKER-USER"))
    assert "--dst-type LOCAL" not in str(standing(found))
    again, untouched = (seen_of(standing(one.after(RESTART))) for one in (found, stood))
    for family in FAMILIES:
        assert sorted(again.rules[family].splitlines()) == sorted(untouched.rules[family].splitlines())
    assert again.native == untouched.native


@pytest.mark.parametrize("backend", BACKENDS)
def test_firewalld_adds_to_the_rules_that_others_left(backend: str) -> None:
    """A rule that others deleted stays deleted, and a new network's bridge is in the zone."""
    stood = with_firewalld(backend)
    found = as_seen(stood, without(seen_of(standing(stood)), "dport 22", "tcp dport ssh"))
    later = seen_of(standing(found.after([MORE])))
    untouched = seen_of(standing(stood.after([MORE])))
    assert later == without(untouched, "dport 22", "tcp dport ssh") != untouched


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_firewalld_and_others_both_change_is_refused(backend: str) -> None:
    stood = with_firewalld(backend)
    zones = "filter_INPUT_ZONES" if backend == "nftables" else "INPUT_ZONES"
    seen = seen_of(standing(stood))
    rule = f"-A {zones} -i docker0" if backend == "iptables" else 'iifname "docker0" goto filter_IN_docker'
    found = as_seen(stood, without(seen, rule))
    with pytest.raises(UsageError, match=f"others have changed chain {zones}"):
        standing(found.after([MORE]))
    standing(found.after([ContainerRestart("web")]))  # firewalld takes no part


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_firewalld_s_rules_are_gone_no_bridge_comes_into_a_zone(backend: str) -> None:
    """As measured with firewalld 1.3.3: it cannot add an interface, and with its own table not reload."""
    stood = with_firewalld(backend)
    gone = Observation(EMPTY, {}, dict.fromkeys(seen_of(standing(stood)).native, ""))
    found = as_seen(stood, gone)
    assert not any(isinstance(one, NftTable) for one in standing(found))
    back = found.after(RESTART)
    assert [container.running for container in back.facts.containers] == [True]
    assert "INPUT_ZONES" not in str(standing(back))
    with pytest.raises(Refused, match="cannot put br-cccccccccccc into zone docker"):
        back.after([MORE])
    if backend == "nftables":
        with pytest.raises(Refused, match="firewalld cannot reload"):
            back.after([FirewallReload()])
    else:
        assert "INPUT_ZONES" in str(standing(back.after([FirewallReload(), MORE])))
