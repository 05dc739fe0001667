"""What iptables and nft would refuse at `up` is refused in the plan, with its position."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from netlab.scenario.nft_order import NftTables
from netlab.scenario.rules import RuleError, parse_rule
from netlab.scenario.xt_grammar import wrong_words
from netlab.scenario.xtables import MATCHES, TARGETS

DATA = Path(__file__).parents[2] / "data"
WRONG = [
    ("iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.256:80", '"10.0.0.256:80" is no'),
    ("iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:70000", "it is an IPv4 address"),
    ("iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.1:80", "DNAT needs -p tcp or -p udp"),
    ("ip6tables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1", "it is an IPv6 address"),
    ("iptables -t nat -A POSTROUTING -j SNAT --to-source 10.0.0.1-10.0.0", '"10.0.0.1-10.0.0" is no'),
    ("iptables -t nat -A POSTROUTING -j SNAT", "SNAT needs --to-source"),
    ("iptables -t nat -A PREROUTING -j NETMAP --to 10.0.0.0/33", '"10.0.0.0/33" is no value of --to'),
    ("iptables -t mangle -A PREROUTING -j TEE --gateway 2001:db8::1", "of --gateway: it is an IPv4"),
    ("ip6tables -A INPUT -s 10.0.0.1 -j DROP", '"10.0.0.1" is no IPv6 address'),
    ("iptables -A INPUT -s 10.0.0.0/33 -j DROP", '"10.0.0.0/33" is no IPv4 address'),
    ("iptables -A INPUT -m conntrack --ctdir BACK -j DROP", "it is ORIGINAL or REPLY"),
    ("iptables -A INPUT -m conntrack --ctstate NEW,ESTABLISHD -j DROP", "it is one of NEW, ESTABLISHED"),
    ("iptables -A INPUT -m conntrack --ctproto tpc -j DROP", "it is a protocol's number or name"),
    ("iptables -A INPUT -m conntrack -j DROP", "conntrack needs an option"),
    ("iptables -A INPUT -p tpc -j DROP", '"tpc" is no value of -p'),
    ("iptables -A INPUT -p tcp --dport 65536 -j DROP", "it is a port"),
    ("iptables -A INPUT -p tcp --dport htp -j DROP", "netlab knows no service of that name"),
    ("iptables -A INPUT --dport 80 -j DROP", '"--dport" belongs to dccp or sctp or tcp or udp'),
    ("iptables -A INPUT -p tcp --dprot 80 -j DROP", 'there is no option "--dprot" (did you mean "--dport"?)'),
    ("iptables -A INPUT -p tcp --tcp-flags SYN -j DROP", '"-j" is no value of --tcp-flags'),
    ("iptables -A INPUT -m tcp --dport 80 -j DROP", "tcp needs -p tcp"),
    ("iptables -A INPUT -m multiport --dports 80 -j DROP", "multiport needs -p tcp"),
    ("iptables -A INPUT -j REJECT --reject-with tcp-reset", "REJECT needs -p tcp"),
    ("iptables -A INPUT -j REJECT --reject-with icmp-nonsense", '"icmp-nonsense" is no value of'),
    ("iptables -A INPUT -j REJECT --reject-with icmp6-no-route", '"icmp6-no-route" is no value'),
    ("iptables -A INPUT -p icmp --icmp-type pnig -j DROP", '"pnig" is no value of --icmp-type'),
    ("iptables -A INPUT -p icmp --icmp-type host- -j DROP", "it is the beginning of host-unreachable and"),
    ("iptables -A INPUT -m limit --limit 5/fortnight -j DROP", "it is a rate such as 5/second"),
    ("iptables -A INPUT -m mac --mac-source 02:00:00:00:00 -j DROP", "it is an address such as 02:00"),
    ("iptables -A INPUT -m mark --mark 0x1/0x1ffffffff -j DROP", "it is a number, or a number and a mask"),
    ("iptables -A INPUT -m recent --rttl --name x -j DROP", "recent needs an option: --set, --rcheck"),
    ("iptables -A INPUT -m addrtype --dst-type LOKAL -j DROP", "it is one of UNSPEC, UNICAST, LOCAL"),
    ("iptables -t mangle -A PREROUTING -j MARK --set-mark 1 --or-mark 2", "--or-mark cannot stand beside"),
    ("iptables -A INPUT -m length ! --length 5 ! --length 6 -j DROP", "--length can be given once"),
    ("iptables -A INPUT -m limit ! --limit 5/s -j DROP", 'there is no "!" before --limit'),
    ("iptables -I DOCKER-USER -i lxdbr0 ! ACCEPT", '"ACCEPT" belongs to no option'),
    ("iptables -A INPUT -j ACCEPT -j", '"-j" needs a value'),
    ("iptables -A INPUT -k 1", 'iptables has no option "-k"'),
    ("iptables -P FORWARD REJECT", '"REJECT" is no policy: it is ACCEPT or DROP'),
    ("iptables -I INPUT 0 -j DROP", '"0" is no number of a rule'),
    ("iptables -A INPUT -i averylongnameofone -j DROP", "an interface has a name of 1 to 15 bytes"),
    ("ip6tables -t mangle -A PREROUTING -j TTL --ttl-set 9", '"TTL" is an extension of iptables'),
    ("iptables -A INPUT -m hl --hl-eq 9 -j DROP", '"hl" is an extension of ip6tables'),
    ("iptables -A INPUT -m u32 --u32 0x -j DROP", "it is tests such as"),
    ("iptables -A INPUT -m string --string x -j DROP", "string needs --algo"),
    ("iptables -A INPUT -m time --timestart 24:00 -j DROP", "it is a time such as 08:30"),
    ("iptables -A INPUT -m statistic --mode random --probability 1.5 -j DROP", "it is a number from 0 to 1"),
]  # fmt: skip
RIGHT = [
    "iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.9:80-90/8080",
    "ip6tables -t nat -A PREROUTING -p tcp -j DNAT --to-destination [2001:db8::1]:80",
    "ip6tables -t nat -A PREROUTING -j DNAT --to-destination 2001:db8::1",
    "iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports http",
    "iptables -A INPUT -p tcp --dpo 80:http -j DROP",
    "iptables -A INPUT --proto=tcp --dport=80 --jump=REJECT --reject-with=tcp-rst",
    "iptables -A INPUT -p 6 --syn -j REJECT --reject-with tcp-reset",
    "iptables -A INPUT ! -p tcp -m conntrack ! --ctstate new,rel -j DROP",
    "iptables -A INPUT -p icmp --icmp-type any -j ACCEPT",
    "iptables -I INPUT 3 -p tcp -m tcp -m tcp --dport 80 -c 0 0 -j ACCEPT",
    "iptables -A INPUT -m recent --name x --rcheck --seconds 60 --rttl -j DROP",
    "iptables -w 5 -A INPUT -vn -j ACCEPT",
    "iptables -A FORWARD -m physdev --physdev-in {bridge:a-network-of-a-long-name} -j ACCEPT",
    "iptables -D INPUT 1",
    "iptables -E old new",
    "iptables -Z",
]


@pytest.mark.parametrize(("line", "said"), WRONG, ids=[line for line, _ in WRONG])
def test_what_iptables_refuses(line: str, said: str) -> None:
    with pytest.raises(RuleError, match=re.escape(said)):
        parse_rule(line)


@pytest.mark.parametrize("line", RIGHT)
def test_what_iptables_takes(line: str) -> None:
    tool, *words = shlex.split(line)
    assert wrong_words(words, 6 if tool == "ip6tables" else 4) is None


def test_a_file_is_judged_by_its_column(problems: Callable) -> None:
    text = (
        "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.300\nCOMMIT\n"
    )
    found = problems("x-netlab: {host: {firewall: {iptables: r}}}", {"r": text})
    assert found[0].startswith('r:3:47: "10.0.0.300" is no value of --to-destination')
    text = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT\nCOMMIT\n"
    assert problems("x-netlab: {host: {firewall: {ip6tables: r}}}", {"r": text})[0].startswith("r:3:21: ")


def test_an_event_is_judged(problems: Callable) -> None:
    found = problems("x-netlab: {host: {}, events: ['run host iptables -A INPUT -p tcp --dport 70000']}")
    assert "it is a port" in found[0]


def test_every_extension_has_its_options() -> None:
    for name in MATCHES | TARGETS:
        assert wrong_words(["-m" if name.islower() else "-j", name, "--nosuch", "x"], 4) is not None


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000, "0" * 5000])
def test_numbers_of_any_length(number: str) -> None:
    """Python converts no more than 4,300 digits."""
    began = time.monotonic()
    for option in (
        "-m mark --mark", "-p tcp --dport", "-m limit --limit",
        "-m hashlimit --hashlimit-name x --hashlimit-above",
        "-m u32 --u32", "-p tcp -m multiport --dports", "-m owner --uid-owner", "-p", "-s",
        "-m time --timestart", "-m iprange --src-range", "-m connbytes --connbytes", "-c 1",
    ):  # fmt: skip
        wrong_words(["-A", "INPUT", *option.split(), number], 4)
    assert time.monotonic() - began < 2


# ── nft ──────────────────────────────────────────────────────────────────────────────────────────────────

NFT = [
    (["nft add rule inet mine c accept"], 'no line above makes the table "inet mine"'),
    (["nft add chain inet mine c"], 'no line above makes the table "inet mine"'),
    (["nft add taWble inet mine"], 'no line above makes the table "ip taWble" (did you mean "table"?)'),
    (["nft add table inet mine", "nft add rule ip mine c accept"], 'makes the table "ip mine"'),
    (
        ["nft add table mine", "nft add chain mine publishd", "nft add rule mine published accept"],
        '"publishd"',
    ),
    (["nft 'add table mine; add rule mine c accept'"], 'no line above makes the chain "c" of ip mine'),
    (["nft add table inet x", "nft delete table inet x", "nft add chain inet x c"], 'the table "inet x"'),
    (["nft ad table inet mine"], 'nft has no command "ad" (did you mean "add"?)'),
    (["nft add set inet mine s '{ type ipv4_addr; }'"], 'no line above makes the table "inet mine"'),
]
NFT_RIGHT = [
    ["nft add table inet mine", "nft add chain inet mine c '{ type filter hook input priority 0; }'",
     "nft add rule inet mine c accept", "nft insert rule inet mine c position 0 drop"],
    ["nft 'table inet mine { chain c { accept; }; chain d { }; }'", "nft add rule inet mine d accept"],
    ["nft 'add table mine; add chain mine c; add rule mine c accept'"],
    ["nft add rule ip filter DOCKER-USER accept", "nft -a insert rule inet firewalld filter_INPUT accept"],
    ["nft flush ruleset", "nft list ruleset"],
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), NFT, ids=[lines[-1] for lines, _ in NFT])
def test_nft_needs_the_table_and_the_chain(lines: list[str], said: str, problems: Callable) -> None:
    text = "x-netlab:\n  host:\n    rules:\n" + "".join(f"    - {line}\n" for line in lines)
    found = problems(text)
    assert said in found[-1]
    assert found[-1].split(":")[1] == str(3 + len(lines))


@pytest.mark.parametrize("lines", NFT_RIGHT, ids=[lines[-1] for lines in NFT_RIGHT])
def test_what_lines_above_made(lines: list[str]) -> None:
    tables = NftTables()
    assert [tables.wrong(parse_rule(line)) for line in lines] == [""] * len(lines)


def test_a_file_makes_tables() -> None:
    tables = NftTables(["table inet mine {\n chain c { }\n}\n"])
    assert tables.wrong(parse_rule("nft add rule inet mine c accept")) == ""
    assert tables.wrong(parse_rule("nft add rule inet mime c accept"))
