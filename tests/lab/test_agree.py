"""Predictions and the kernel: a share of ``nox -s agree``, and each difference that it found before."""

from __future__ import annotations

from pathlib import Path

import pytest
from agree.host import Group, Host
from agree.run import Compared
from agree.tally import Count

import netlab

OUTPUT_DROPS = ("iptables -t filter -I OUTPUT -o ext0 -j DROP",)
OUTPUT_REJECTS = ("iptables -t filter -I OUTPUT -o ext0 -j REJECT",)
INPUT_REJECTS = (
    "iptables -t filter -I INPUT -p udp -j REJECT",
    "iptables -t filter -I INPUT -p tcp -j REJECT --reject-with tcp-reset",
)
POSTROUTING_DROPS = (
    "nft add table ip own",
    "nft add chain ip own base '{ type filter hook postrouting priority -310; policy drop; }'",
)
PREROUTING_DROPS = (
    "nft add table ip own",
    "nft add chain ip own base '{ type filter hook prerouting priority -310; policy drop; }'",
)
BRIDGE_DROPS = (
    "nft add table bridge own",
    "nft add chain bridge own base '{ type filter hook forward priority 5; policy accept; }'",
    "nft add rule bridge own base tcp dport 81 drop",
    "nft add chain bridge own late '{ type filter hook postrouting priority 5; policy accept; }'",
    "nft add rule bridge own late udp dport 81 drop",
)
SETS = (
    "nft add table ip own",
    "nft add set ip own ports '{ type inet_service; }'",
    "nft add element ip own ports '{ 22, 443 }'",
    "nft add map ip own fates '{ type inet_service : verdict; elements = { 80 : accept, 81 : drop }; }'",
    "nft add chain ip own base '{ type filter hook input priority -5; policy accept; }'",
    "nft add rule ip own base tcp dport @ports drop",
    "nft add rule ip own base udp dport vmap @fates",
)
VMAP = (
    "nft add table ip own",
    "nft add chain ip own base '{ type filter hook input priority -5; policy accept; }'",
    "nft add rule ip own base tcp dport vmap '{ 81 : accept, 9 : continue }' drop",
)
OWN_SEGMENTS_DROP = (
    "nft add table inet own",
    "nft add chain inet own base '{ type filter hook output priority 0; policy drop; }'",
    "nft add rule inet own base meta nfproto ipv6 accept",
    "nft add rule inet own base udp dport '{ 22-80 }' accept",
)
NOWHERE = "client -> 203.0.113.9/icmp via host"
FLOWS = ("web -> db:81/tcp", "web -> db:443/tcp", "web -> db:81/udp", "web -> db/icmp")


@pytest.mark.parametrize(
    ("rules", "flows"),
    [
        (OUTPUT_DROPS, ["client -> host:9/udp", "client -> host:9/udp via host", NOWHERE]),
        (OUTPUT_REJECTS, ["client -> host:9/udp", "neighbour -> 203.0.113.9:80/udp via host"]),
        (POSTROUTING_DROPS, ["client -> 203.0.113.9:80/tcp via host", *FLOWS]),
        (PREROUTING_DROPS, ["host -> host/icmp"]),
        (BRIDGE_DROPS, [*FLOWS]),
        (SETS, ["client -> host:22/tcp", "client -> host:81/udp", "client -> host:80/udp"]),
        (VMAP, ["client -> host:81/tcp", "client -> host:9/tcp"]),
        (INPUT_REJECTS, [f"neighbour -> 198.51.100.255:443/{p} via host" for p in ("tcp", "udp")]),
        ((), ["api -> 127.0.0.1:443/tcp via host from 172.18.0.99", "api -> 127.0.0.1:9/udp via host"]),
        ((), ["client -> 127.0.0.1:81/udp via host", "client -> 0.0.0.9:80/tcp via host"]),
        (OWN_SEGMENTS_DROP, ["neighbour -> host:8080/tcp", "host -> host:5353/udp", "host -> client:53/udp"]),
    ],
)  # fmt: skip
def test_the_kernel_does_what_was_predicted(rules: tuple[str, ...], flows: list[str]) -> None:
    """Kinds of differences that ``nox -s agree`` has found."""
    count = Count()
    host = Host("docker-27", "none", True, (), (Group("typed", rules),))
    assert Compared(host, flows, count).found == []
    assert count.once == []
    assert count.packets >= len(flows)
    assert count.unpredicted == count.unmeasured == 0


@pytest.mark.parametrize(
    ("engine", "flows"),
    [
        ("podman-5-nftables", ["web -> gateway:53/tcp", "db -> gateway:53/udp"]),
        (
            "podman-5-nftables",
            [f"api -> 127.0.0.1{to} via host from 198.51.100.77" for to in (":9/udp", "/icmp")],
        ),
        ("docker-28", ["web -> 127.0.0.11:53/tcp"]),
        (
            "docker-29-nftables",
            [f"client -> client{to} via host from 198.51.100.3" for to in (":81/tcp", "/icmp")],
        ),
        ("docker-29-nftables", ["client -> client:7000/tcp via host from 198.51.100.9"]),
        ("docker-29-nftables", ["client -> client/icmp via host"]),
        ("docker-29-nftables", [f"client -> [fe80::]{to} via host" for to in (":9/udp", ":9/tcp", "/icmp")]),
        ("docker-29-nftables", [f"client -> [2001:db8:1::]{to}" for to in (":9/udp", ":9/tcp", "/icmp")]),
    ],
)  # fmt: skip
def test_engines_do_what_was_predicted(engine: str, flows: list[str]) -> None:
    """Differences that need no rules: DNS servers, packets from 127.0.0.1, to their sender, to routers."""
    count = Count()
    assert Compared(Host(engine, "none", True, (), ()), flows, count).found == []
    assert count.once == []
    assert count.packets >= len(flows)
    assert count.unpredicted == count.unmeasured == 0


def test_an_icmp_error_that_a_rule_drops_is_named(tmp_path: Path) -> None:
    """The sender sees nothing: the rule that dropped the error decided, and no route or socket."""
    host = Host("docker-27", "none", True, (), (Group("typed", OUTPUT_DROPS),))
    with netlab.Lab(host.write(tmp_path)) as lab:
        journey = lab.probe("client -> 203.0.113.9:80/udp via host", family=4)
    assert (journey.outcome, journey.icmp, journey.decided_by.kind) == ("timeout", None, "rule")
    assert (journey.decided_by.hook, journey.decided_by.direction) == ("output", "reply")
    said = "It was answered, and the answer was dropped in OUTPUT of host by ip filter OUTPUT: -A OUTPUT"
    assert said in str(journey)
