"""``netlab diff``, measured: which flows close and open, by which rule, and what does not apply."""

from __future__ import annotations

import json
from typing import Any

from support.labs import ROOT, SEED, Netlab

SCENARIOS = ROOT / "scenarios"


def flows(done: Any) -> dict[tuple[str, str, str], dict[str, Any]]:
    """(from, to, family) → what becomes of the flow."""
    document = json.loads(done.stdout)
    return {(c["from"], c["to"], c["family"]): c for c in document["flows"]["changes"]}


def test_an_upgrade_closes_direct_access(netlab: Netlab) -> None:
    found = flows(netlab("diff", SEED, "--engine", "docker-27", "--engine", "docker-28", "--json"))
    change = found["client", "httpd@nw:80/tcp", "ipv4"]
    assert change["kind"] == "closes"
    assert change["after"]["decided_by"]["reason"] == "httpd on nw may not be reached by its own address"
    assert found["client", "httpd@nw:9/tcp", "ipv4"]["kind"] == "otherwise"
    assert ("client", "host:80/tcp", "ipv4") not in found


def test_a_minor_update_closes_a_way_out_and_drops_unpublished_ports_of_others(
    netlab: Netlab,
) -> None:
    """From 28.0.4 to 28.5.2 they are dropped in raw, where no accept in DOCKER-USER comes before it, and
    which also drops the answers to a container that keeps its own address.
    """
    engines = ("--engine", "docker-28.0.4", "--engine", "docker-28.5.2")
    found = flows(netlab("diff", SCENARIOS / "masquerade-off-28.0.yaml", *engines, "--json"))
    ways_out = {("httpd", target) for target in ("client:7000/tcp", "client:7000/udp", "client/icmp")}
    unpublished = {
        (origin, target)
        for origin in ("client", "neighbour")
        for target in ("httpd@nw:9/tcp", "httpd@nw/icmp")
    }
    assert {key[:2] for key in found} == unpublished | ways_out
    for key, change in found.items():
        if key[:2] in ways_out:
            assert (change["kind"], change["before"]["outcome"]) == ("closes", "ok")
        else:
            assert change["kind"] == "otherwise"
            assert change["before"]["decided_by"]["chain"] == "DOCKER"
        decided = change["after"]["decided_by"]
        assert decided["rule"] == "-A PREROUTING -d 192.168.10.10/32 ! -i docker_httpd -j DROP"


def test_flipping_the_proxy_changes_paths_and_sources(netlab: Netlab) -> None:
    found = flows(
        netlab("diff", SCENARIOS / "httpd-no-proxy.yaml", "--daemon", "userland-proxy=both", "--json")
    )
    assert found["client", "host:80/tcp", "ipv6"]["kind"] == "closes"
    assert found["sib", "host:80/tcp", "ipv4"]["kind"] == "path"
    assert found["host", "host:80/tcp", "ipv4"]["kind"] == "source"
    kinds = [change["kind"] for change in found.values()]
    assert kinds == sorted(kinds, key=["closes", "opens", "path", "source", "otherwise"].index)


def test_a_rule_that_does_not_apply_is_left_out_and_said(netlab: Netlab) -> None:
    done = netlab("diff", SCENARIOS / "docker-user.yaml", "--engine", "docker-29-nftables")
    assert "does not apply to docker-29-nftables: iptables -I DOCKER-USER" in done.stdout
    opened = done.stdout.partition("flows that open")[2]
    assert "client -> host:80/tcp  ipv4" in opened
    assert "before: kept out by ip filter -A DOCKER-USER" in opened


def test_a_side_that_is_refused_is_not_measured(netlab: Netlab) -> None:
    refused = SCENARIOS / "nftables-backend-iptables-policy.yaml"
    done = netlab("diff", refused, "--daemon", "no-such-key=both", code=2)
    assert "no-such-key" in done.stderr


def test_a_running_lab_is_measured_as_it_is(netlab: Netlab) -> None:
    lab = netlab.up(SEED)
    assert flows(netlab("diff", lab, SEED, "--json")) == {}
    netlab.exec(lab, "host", "iptables", "-I", "DOCKER-USER", "-s", "198.51.100.2", "-j", "DROP")
    done = netlab("diff", SEED, lab)
    assert f"{lab} as written" in done.stdout
    assert "client -> host:[80,443]/tcp  ipv4" in done.stdout.partition("flows that close")[2]
    assert "compare a running lab" in netlab("diff", lab, code=2).stderr
    assert "has no variants" in netlab("diff", lab, lab, "--engine", "docker-28", code=2).stderr
