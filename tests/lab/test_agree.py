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


def test_an_icmp_error_that_a_rule_drops_is_named(tmp_path: Path) -> None:
    """The sender sees nothing: the rule that dropped the error decided, and no route or socket."""
    host = Host("docker-27", "none", True, (), (Group("typed", OUTPUT_DROPS),))
    with netlab.Lab(host.write(tmp_path)) as lab:
        journey = lab.probe("client -> 203.0.113.9:80/udp via host", family=4)
    assert (journey.outcome, journey.icmp, journey.decided_by.kind) == ("timeout", None, "rule")
    assert (journey.decided_by.hook, journey.decided_by.direction) == ("output", "reply")
    said = "It was answered, and the answer was dropped in OUTPUT of host by ip filter OUTPUT: -A OUTPUT"
    assert said in str(journey)
