"""Rulesets as their tools print them: what is read, and what is wrong with one, by file, line and column."""

from __future__ import annotations

import pytest

import netlab
from netlab.model.family import Family
from netlab.predict.nft_list import read_list
from netlab.predict.rules import (
    AddressType,
    AnyBit,
    Depends,
    In,
    Masked,
    ModelTable,
    Named,
    Never,
    Reject,
    SetMark,
    Step,
    Translate,
    Unknown,
    Verdict,
    VerdictMap,
)
from netlab.predict.xt_save import read_save


def save(*rules: str, table: str = "filter") -> str:
    chains = {
        "filter": ":INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]",
        "nat": ":PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]",
        "mangle": ":PREROUTING ACCEPT [0:0]",
    }
    lines = (f"*{table}", chains[table], ":mine - [0:0]", *rules, "COMMIT")
    return "\n".join(lines) + "\n"


def steps_of(rule: str, table: str = "filter", family: Family = Family.IPV4) -> tuple[Step, ...]:
    (found,) = read_save(save(rule, table=table), family, "rules.v4")
    (only,) = [one for chain in found.chains.values() for one in chain.rules]
    assert only.text == rule
    return only.steps


def native(*rules: str, family: str = "inet", before: str = "") -> ModelTable:
    body = "\n".join(f"\t\t{rule}" for rule in rules)
    text = (
        f"table {family} mine {{\n{before}\tchain c {{\n\t\ttype filter hook forward priority filter - 5; "
        f"policy drop;\n{body}\n\t}}\n\tchain other {{\n\t}}\n}}\n"
    )
    (table,) = read_list(text, "rules.nft")
    return table


def native_steps(rule: str, family: str = "inet", before: str = "") -> tuple[Step, ...]:
    (found,) = native(rule, family=family, before=before).chains["c"].rules
    return found.steps


TCP = In("l4proto", ((6, 6),))
ACCEPT = Verdict("accept")


@pytest.mark.parametrize(
    ("rule", "steps"),
    [
        ("-A INPUT -s 10.0.0.0/8 -j ACCEPT", (In("saddr", ((10 << 24, (11 << 24) - 1),)), ACCEPT)),
        ("-A INPUT ! -i eth+ -j DROP", (Named("iifname", "eth", True, True), Verdict("drop"))),
        ("-A INPUT -d 10.0.0.1/255.0.0.255 -j ACCEPT", (Masked("daddr", 0xFF0000FF, 0x0A000001), ACCEPT)),
        (
            "-A INPUT -p tcp -m tcp --dport 80:90 -j ACCEPT",
            (TCP, In("dport", ((80, 90),)), ACCEPT),
        ),
        (
            "-A INPUT -p tcp -m multiport ! --dports 22,80:81 -j mine",
            (TCP, In("dport", ((22, 22), (80, 81)), True), Verdict("jump", "mine")),
        ),
        (
            "-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -g mine",
            (TCP, Masked("tcpflags", 0x17, 2), Verdict("goto", "mine")),
        ),
        ("-A INPUT -m conntrack --ctstate NEW,DNAT -j ACCEPT", (AnyBit("ctxtstate", 0x208), ACCEPT)),
        (
            "-A INPUT -m addrtype --dst-type LOCAL -j ACCEPT",
            (AddressType("dst", frozenset({"local"})), ACCEPT),
        ),
        ('-A INPUT -m comment --comment "a \\"b\\" c" -j ACCEPT', (ACCEPT,)),
        ("-A INPUT -m limit --limit 3/min -j ACCEPT", (Depends("-m limit"), ACCEPT)),
        ("-A INPUT -m thirst --cups 3 -j ACCEPT", (Depends("-m thirst"), ACCEPT)),
        ("-A INPUT -f -j DROP", (Never("-f"), Verdict("drop"))),
        ("-A INPUT -j NFQUEUE --queue-num 1", (Unknown("-j NFQUEUE"),)),
        (
            "-A INPUT -j REJECT --reject-with icmp-host-prohibited",
            (Reject(ipv4=(3, 10), ipv6=(3, 10)),),
        ),
    ],
)
def test_a_rule_of_iptables_is_its_steps(rule: str, steps: tuple[Step, ...]) -> None:
    assert steps_of(rule) == steps


@pytest.mark.parametrize(
    "rule",
    [
        "-p tcp -m comment --comment x --dport 99 -j DROP",
        "-p tcp -j DROP -m comment --comment x --dport 99",
        "-p tcp --dpo 99 -j DROP",
        "-j DROP -p tcp --destination-port 99",
        "-p 6 -m conntrack --ctstate NEW --dport 99 -j DROP",
    ],
)
def test_an_option_belongs_to_the_extension_that_has_it(rule: str) -> None:
    """Not to the one before it: ``--dport`` behind a comment was none of the comment's, and was not read."""
    plain = steps_of("-A INPUT -p tcp -m tcp --dport 99 -j DROP")
    steps = [step for step in steps_of(f"-A INPUT {rule}") if not str(step).startswith("In(name='ct state'")]
    assert [step for step in steps if step in plain] == list(plain)


def test_targets_of_other_tables() -> None:
    to = Translate("dst", (0xC0A80A0A, 0xC0A80A0A), (80, 80))
    assert steps_of("-A PREROUTING -j DNAT --to-destination 192.168.10.10:80", "nat") == (to,)
    assert steps_of("-A PREROUTING -j MARK --set-xmark 0x1/0xff", "mangle") == (
        SetMark("mark", 0xFFFFFF00, 1),
    )
    six = Translate("dst", (0xFD << 120 | 1, 0xFD << 120 | 1), (80, 80))
    assert steps_of("-A PREROUTING -j DNAT --to-destination [fd00::1]:80", "nat", Family.IPV6) == (six,)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (save("-A INPUT -j THINK"), "rules.v4:6:13: 'THINK' is neither a target nor a chain of this table"),
        (save("-A INPUT -p tpc -j DROP"), "rules.v4:6:13: 'tpc' is not a protocol"),
        (save("-A INPUT -s 10.0.0.1.2 -j DROP"), "rules.v4:6:13: '10.0.0.1.2' is not an address"),
        (
            save("-A INPUT -m conntrack --ctstate ESTABLISH -j DROP"),
            "rules.v4:6:33: 'establish' is not a state (did you mean established?)",
        ),
        (save("-A INPUTT -j DROP"), "rules.v4:6:4: the chain 'INPUTT' was not declared above"),
        (
            save("-A INPUT -d ! 10.0.0.0/8 -j DROP"),
            "rules.v4:6:13: write ! before -d: iptables 1.4.3 and later refuse it after the option",
        ),
        (
            "*filter\n:INPUT ACCEPT [0:0]\n",
            "rules.v4:2:1: the listing is cut short: the table filter has no COMMIT",
        ),
        ("*fliter\nCOMMIT\n", "rules.v4:1:2: 'fliter' is not a table of iptables (did you mean filter?)"),
        ("-A INPUT -j DROP\n", "rules.v4:1:1: '-A' stands outside of a table: expected *TABLE"),
    ],
)
def test_what_is_wrong_with_a_dump_has_a_place(text: str, wrong: str) -> None:
    with pytest.raises(netlab.ScenarioError) as caught:
        read_save(text, Family.IPV4, "rules.v4")
    assert str(caught.value) == wrong


@pytest.mark.parametrize(
    ("rule", "steps"),
    [
        ("tcp dport 80-90 accept", (TCP, In("dport", ((80, 90),)), ACCEPT)),
        ('iifname != "eth*" drop', (Named("iifname", "eth", True, True), Verdict("drop"))),
        ("ct state established,related accept", (AnyBit("ctstate", 6), ACCEPT)),
        ("ct state { established, related } accept", (In("ctstate", ((2, 2), (4, 4))), ACCEPT)),
        ("meta l4proto { icmp, ipv6-icmp } accept", (In("l4proto", ((1, 1), (58, 58))), ACCEPT)),
        ("tcp flags & (fin | syn) == syn accept", (TCP, Masked("tcpflags", 3, 2), ACCEPT)),
        ("meta mark & 0xff == 0x1 accept", (Masked("mark", 0xFF, 1), ACCEPT)),
        ("meta mark set meta mark | 0x2000", (SetMark("mark", 0xFFFFDFFF, 0x2000),)),
        (
            "dnat ip to 192.168.10.10:80",
            (Translate("dst", (0xC0A80A0A, 0xC0A80A0A), (80, 80), family=Family.IPV4),),
        ),
        ("reject with icmpx admin-prohibited", (Reject(ipv4=(3, 13), ipv6=(1, 1)),)),
        (
            "fib daddr type local jump other",
            (AddressType("dst", frozenset({"local"})), Verdict("jump", "other")),
        ),
    ],
)
def test_a_rule_of_nftables_is_its_steps(rule: str, steps: tuple[Step, ...]) -> None:
    assert native_steps(rule) == steps


def test_named_sets_and_verdict_maps() -> None:
    before = "\tset ports {\n\t\ttype inet_service\n\t\tflags interval\n\t\telements = { 22, 80-81 }\n\t}\n"
    assert native_steps("tcp dport @ports accept", before=before)[1] == In("dport", ((22, 22), (80, 81)))
    (steps,) = native_steps('iifname vmap { "a" : accept, "b" : jump other }')
    assert isinstance(steps, VerdictMap)
    assert [verdict for _, verdict in steps.elements] == [ACCEPT, Verdict("jump", "other")]


def test_a_limit_depends_on_more_than_the_packet() -> None:
    assert native_steps("limit rate 10/second burst 5 packets accept") == (Depends("limit"), ACCEPT)


def test_a_chain_has_its_hook_priority_and_policy() -> None:
    chain = native("accept").chains["c"]
    assert (chain.hook, chain.type, chain.priority, chain.policy) == ("forward", "filter", -5, "drop")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            "table inet t {\n\tchain c {\n\t\tthink hard\n\t}\n}\n",
            "rules.nft:3:3: 'think' is neither a field",
        ),
        (
            "table inet t {\n\tchain c {\n\t\taccept\n",
            "rules.nft:3:9: the listing is cut short: a { has no }",
        ),
        ("tabel inet t {\n}\n", "rules.nft:1:1: expected 'table FAMILY NAME {', found 'tabel'"),
        (
            "table ip t {\n\tchain c {\n\t\tip saddr 10.0.0.300 drop\n\t}\n}\n",
            "rules.nft:3:12: '10.0.0.300' is not",
        ),
        (
            "table ip t {\n\tchain c {\n\t\ttcp dport @gone drop\n\t}\n}\n",
            "there is no set 'gone' in this table",
        ),
    ],
)
def test_what_is_wrong_with_a_listing_has_a_place(text: str, wrong: str) -> None:
    with pytest.raises(netlab.ScenarioError) as caught:
        read_list(text, "rules.nft")
    assert wrong in str(caught.value)
