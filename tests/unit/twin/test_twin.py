"""The scenario of a recorded host is loaded and planned, and has its rules as they were found."""

from __future__ import annotations

import json
import re

import pytest
from support.collections import changed, recorded

from netlab.lab.prediction import Prediction
from netlab.lab.twins import Twin
from netlab.model.family import FAMILIES, Family
from netlab.model.rules import FOUND, IpSet, IptablesRuleset
from netlab.plan.render import restore_text
from netlab.twin.archive import CollectionError
from netlab.twin.draft import NOTES


def test_the_rules_are_those_that_were_found() -> None:
    twin = Twin(recorded())
    _, found = twin.plans()
    host = found.node("host")
    texts = {r.family: restore_text(r) for r in host.rulesets if isinstance(r, IptablesRuleset)}
    for family in FAMILIES:
        saved = recorded().text(f"{family.iptables}.rules").splitlines()
        wanted = [line for line in saved if line.startswith("-A")]
        assert [line for line in texts.get(family, "").splitlines() if line.startswith("-A")] == wanted


def test_the_engine_s_rules_have_reasons_and_the_others_are_found() -> None:
    _, found = Twin(recorded()).plans()
    rules = [
        rule
        for one in found.node("host").rulesets
        if isinstance(one, IptablesRuleset)
        for table in one.tables
        for chain in table.chains
        for rule in chain.rules
    ]
    administrators = [rule.text for rule in rules if rule.reason.startswith("the administrator's own")]
    assert administrators == ["-s 198.51.100.9/32 -i ext0 -j DROP"]
    assert not any(rule.reason == FOUND for rule in rules)


def test_the_administrators_part_is_what_the_engine_did_not_write() -> None:
    own = Twin(recorded()).files["own/iptables.rules"]
    assert [line for line in own.splitlines() if line.startswith("-A")] == [
        "-A DOCKER-USER -s 198.51.100.9/32 -i ext0 -j DROP"
    ]


def test_containers_have_their_addresses() -> None:
    _, found = Twin(recorded()).plans()
    addresses = {
        node.container: [a for i in node.interfaces for a in i.addresses if ":" not in a]
        for node in found.nodes
        if node.kind == "container"
    }
    assert addresses["tmp-plain-1"] == ["172.17.0.2/16"]
    assert addresses["tmp-web-1"] == ["172.18.0.2/16", "172.19.0.2/16"]


def test_servers_are_named_after_their_processes() -> None:
    """Of the host, and of a container whose namespace was asked; a name that no file can have is left out."""
    entries = map(json.loads, recorded().text("docker-containers.json").splitlines())
    pid = next(entry["pid"] for entry in entries if entry["mode"] == "bridge")
    line = 'tcp LISTEN 0 128 {} 0.0.0.0:* users:(("{}",pid=7,fd=3))\n'
    twin = Twin(
        changed(
            {
                "sockets": lambda s: s + line.format("0.0.0.0:22", "sshd") + line.format("[::]:22", "sshd")
                + line.format("0.0.0.0:99", "a b\x1b"),
                "container-sockets": lambda s: s + f"@ {pid}\n" + line.format("*:8443", "nginx"),
            }
        )
    )  # fmt: skip
    _, found = twin.plans()
    names = {(node.kind, one.port): one.service for node in found.nodes for one in node.responders}
    assert (names["host", 22], names["host", 99], names["container", 8443]) == ("sshd", "host", "nginx")


def test_what_is_not_allowed_is_left_out_with_a_note() -> None:
    twin = Twin(
        changed(
            {
                "iptables.rules": lambda s: s.replace(
                    "-A DOCKER-USER ", "-A DOCKER-USER -j IDLETIMER --timeout 1 --label x\n-A DOCKER-USER ", 1
                ),
                "nft.rules": lambda s: s + 'table inet evil {\n\tinclude "/etc/shadow"\n}\n',
            }
        )
    )
    assert "IDLETIMER" not in twin.files["found/iptables.rules"]
    assert "IDLETIMER" in twin.files[NOTES]
    assert "the table inet evil is left out" in twin.files[NOTES]
    assert not any("/etc/shadow" in text for name, text in twin.files.items() if name != NOTES)


def test_rules_of_ipv6_are_read_as_those() -> None:
    rules = (
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
        "-A INPUT -s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT\nCOMMIT\n"
    )
    twin = Twin(changed({"ip6tables.rules": lambda _: rules}))
    assert "--icmpv6-type 135" in twin.files["found/ip6tables.rules"]
    assert "icmp6" not in twin.files[NOTES]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "/../../etc"),
        ("name", "/a\nb"),
        ("name", "/x;include"),
        ("id", "../../x"),
    ],
)
def test_hostile_names_of_containers_are_refused(key: str, value: str) -> None:
    def edit(lines: str) -> str:
        entry = json.loads(lines.splitlines()[0])
        return (
            lines + json.dumps({**entry, "id": "f" * 64, "mode": "none", "networks": {}, key: value}) + "\n"
        )

    with pytest.raises(CollectionError, match=r"docker-containers.json: .* is no (id|name) of Docker's"):
        Twin(changed({"docker-containers.json": edit}))


def test_a_dollar_sign_is_no_variable() -> None:
    def edit(lines: str) -> str:
        return lines.replace('"com.docker.network.driver.mtu":"1500"', '"com.docker.network.x":"${HOME}"')

    twin = Twin(changed({"docker-networks.json": edit}))
    assert "${HOME}" not in twin.files["netlab.yaml"].replace("$${HOME}", "")


def test_json_that_is_none_is_told_with_its_place() -> None:
    with pytest.raises(CollectionError, match=r"links\.json:1:6: "):
        Twin(changed({"links.json": lambda _: "[{}, }"}))
    with pytest.raises(CollectionError, match=r"docker-containers\.json:.*an object was expected"):
        Twin(changed({"docker-containers.json": lambda _: "7\n"}))
    with pytest.raises(CollectionError, match=r"links\.json"):
        Twin(changed({"links.json": lambda _: "[" * 200_000}))


def test_ten_thousand_containers_are_too_many() -> None:
    def edit(lines: str) -> str:
        entry = json.loads(lines.splitlines()[0])
        entry |= {"mode": "none", "networks": {}}
        many = ({**entry, "id": f"{n:064x}", "name": f"/c{n}"} for n in range(10_000))
        return "".join(json.dumps(one) + "\n" for one in many)

    with pytest.raises(CollectionError, match="10,000 containers: a lab takes at most 8,000"):
        Twin(changed({"docker-containers.json": edit}))


def test_ipsets_are_taken_along() -> None:
    """Rules of sets that a lab cannot make are left out and noted: it could not load them."""
    rules = [f"-A INPUT -m set --match-set {name} src -j DROP" for name in ("bad", "ports", "gone")]
    lines = "".join(f"{rule}\n" for rule in rules)
    sets = (
        "create bad hash:ip family inet hashsize 1024 maxelem 65536 timeout 600\n"
        "add bad 198.51.100.3 timeout 5\n"
        "create ports hash:ip,port family inet hashsize 1024 maxelem 65536\n"
        "add ports 192.0.2.1,tcp:80\n"
    )
    twin = Twin(
        changed(
            {
                "iptables.rules": lambda saved: re.sub(r"(\*filter\n(?::.*\n)+)", rf"\1{lines}", saved),
                "ipsets": lambda _: sets,
            }
        )
    )
    for where in ("found", "own"):
        assert [rule in twin.files[f"{where}/iptables.rules"] for rule in rules] == [True, False, False]
        assert twin.files[f"{where}/ipsets.rules"] == (
            "create bad hash:net family inet\nadd bad 198.51.100.3/32\n"
        )
    assert "the ipset ports is left out: netlab makes no ipset of the kind hash:ip,port" in twin.files[NOTES]
    assert f"{rules[2]}: left out: the ipset gone is not in the twin" in twin.files[NOTES]
    for plan in twin.plans():
        sets = [one for r in plan.node("host").rulesets if isinstance(r, IptablesRuleset) for one in r.sets]
        assert sets == [IpSet("bad", Family.IPV4, ("198.51.100.3/32",))]


GUARD = """table inet guard {
	set bad {
		type ipv4_addr
		flags interval
		elements = { 192.0.2.0/24, 198.51.100.3 }
	}

	map ways {
		type inet_service : verdict
		elements = { 22 : drop, 8080 : goto web }
	}

	chain web {
		ip saddr @bad drop
		accept
	}

	chain prerouting {
		type filter hook prerouting priority raw; policy accept;
		tcp dport vmap @ways
	}
}
"""


def test_sets_and_maps_of_others_are_taken_along_and_predicted() -> None:
    twin = Twin(changed({"nft.rules": lambda s: s + GUARD}))
    assert GUARD in twin.files["found/nftables.rules"]
    assert GUARD in twin.files["own/nftables.rules"]
    _, found = twin.plans()
    prediction = Prediction(plan=found)
    asked = ("neighbour -> host:8080", "client -> host:8080", "client -> host:22")
    allowed, in_set, in_map = (prediction.probe(flow, family=4) for flow in asked)
    assert (allowed.outcome, in_set.outcome, in_map.outcome) == ("ok", "timeout", "timeout")
    (rule,) = [hit.rule for hit in in_set.legs[0].hooks[0].rules if hit.verdict == "drop"]
    assert rule == "ip saddr @bad drop"
    assert {(hit.chain, hit.verdict) for hit in in_map.legs[0].hooks[0].rules} >= {("prerouting", "drop")}
