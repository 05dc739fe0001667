"""Each way of breaking a host is named, and nothing on a healthy one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.collections import changed, found_on, recorded

from netlab.lab.drift_flows import DriftFlows, drift_flows
from netlab.lab.twins import Twin
from netlab.twin.drift import drift
from netlab.twin.finding import Finding

RULES = "iptables.rules"


def kinds(findings: list[Finding]) -> list[str]:
    """The kinds that were found, each once."""
    return list(dict.fromkeys(one.kind for one in findings))


def added(chain: str, *rules: str) -> Callable[[str], str]:
    """Rules at the end of a chain of the table filter."""

    def edit(saved: str) -> str:
        head, commit, tail = saved.partition("*filter\n")[2].partition("COMMIT")
        lines = "".join(f"-A {chain} {rule}\n" for rule in rules)
        return saved.replace(head + commit + tail, head + lines + commit + tail)

    return edit


def first(chain: str, *rules: str) -> Callable[[str], str]:
    """Rules in front of a chain's own."""
    lines = "".join(f"-A {chain} {rule}\n" for rule in rules)
    return lambda saved: saved.replace(f"-A {chain} ", f"{lines}-A {chain} ", 1)


def test_a_healthy_host_has_no_finding() -> None:
    assert found_on(recorded()) == []


BROKEN: list[tuple[str, dict[str, Callable[[str], str]], list[str]]] = [
    (
        "a rule is gone",
        {RULES: lambda s: s.replace("-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n", "")},
        ["missing"],
    ),
    (
        "DOCKER-USER comes second",
        {
            RULES: lambda s: s.replace(
                "-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n",
                "-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n-A FORWARD -j DOCKER-USER\n",
            )
        },
        ["order"],
    ),
    (
        "a container that is gone",
        {
            RULES: added(
                "DOCKER", "-d 172.18.0.77/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT"
            )
        },
        ["left-over"],
    ),
    ("written twice", {RULES: first("FORWARD", "-j DOCKER-USER")}, ["doubled"]),
    ("fail2ban in a chain of Docker's", {RULES: first("DOCKER", "-s 192.0.2.7/32 -j DROP")}, ["foreign"]),
    ("a rule before Docker's", {RULES: first("FORWARD", "-s 192.0.2.7/32 -j DROP")}, ["foreign"]),
    (
        "a chain without a jump",
        {RULES: lambda s: added("mine", "-j DROP")(s.replace(":DOCKER - ", ":mine - [0:0]\n:DOCKER - "))},
        ["unreachable"],
    ),
    (
        "behind the end of DOCKER-USER",
        {RULES: added("DOCKER-USER", "-s 192.0.2.7/32 -j DROP")},
        ["unreachable"],
    ),
    (
        "two back ends",
        {"iptables-legacy.rules": lambda _: "*filter\n:INPUT DROP [0:0]\n-A INPUT -j DROP\nCOMMIT\n"},
        ["legacy"],
    ),
    ("FORWARD's policy", {RULES: lambda s: s.replace(":FORWARD DROP", ":FORWARD ACCEPT")}, ["policy"]),
    (
        "no forwarding",
        {"sysctls": lambda s: s.replace("net.ipv4.ip_forward = 1", "net.ipv4.ip_forward = 0")},
        ["forwarding"],
    ),
]


@pytest.mark.parametrize(("edits", "wanted"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_each_break_is_named(edits: dict[str, Callable[[str], str]], wanted: list[str]) -> None:
    assert kinds(found_on(changed(edits))) == wanted


def test_the_tool_is_named() -> None:
    edit = lambda s: added("f2b-sshd", "-j DROP")(  # noqa: E731
        first("FORWARD", "-j f2b-sshd")(s.replace(":DOCKER - ", ":f2b-sshd - [0:0]\n:DOCKER - "))
    )
    (one,) = found_on(changed({RULES: edit}))
    assert (one.kind, one.tool) == ("foreign", "fail2ban")


def test_a_file_that_turns_forwarding_on_explains_the_policy() -> None:
    edits = {
        RULES: lambda s: s.replace(":FORWARD DROP", ":FORWARD ACCEPT"),
        "sysctl-files": lambda _: "net.ipv4.ip_forward=1\n",
    }
    assert found_on(changed(edits)) == []


def test_the_file_that_turns_forwarding_off_is_the_evidence() -> None:
    edits = {
        "sysctls": lambda s: s.replace("net.ipv4.ip_forward = 1", "net.ipv4.ip_forward = 0"),
        "sysctl-files": lambda _: "/etc/sysctl.d/99-hardening.conf:net.ipv4.conf.all.forwarding = 0\n",
    }
    (one,) = found_on(changed(edits))
    assert one.evidence == (
        "/etc/sysctl.d/99-hardening.conf has net.ipv4.ip_forward = 0: it turns forwarding off at boot and "
        "with sysctl --system",
    )


def test_ufw_is_named_where_it_lets_routed_packets_through() -> None:
    edits = {
        RULES: lambda s: s.replace(":FORWARD DROP", ":FORWARD ACCEPT"),
        "ufw": lambda _: "Status: active\nDefault: deny (incoming), allow (outgoing), allow (routed)\n",
    }
    (one,) = found_on(changed(edits))
    assert (one.kind, one.tool, one.mend) == ("policy", "ufw", "ufw default deny routed")


def differing(edits: dict[str, Callable[[str], str]]) -> tuple[dict[str, str], DriftFlows]:
    """The flows that differ by the one finding of a host, with their kind; and everything."""
    twin = Twin(changed(edits))
    findings = drift(twin.drafted.host, twin.facts)
    assert len(findings) == 1
    flows = drift_flows(twin, findings)
    return {str(change.cell.flow): change.kind for change in flows.each[0].flows.changes}, flows


def test_flows_that_differ_by_a_finding_are_predicted() -> None:
    by_policy, flows = differing({RULES: lambda s: s.replace(":FORWARD DROP", ":FORWARD ACCEPT")})
    assert by_policy["client -> tmp-plain-1@bridge:80/tcp"] == "opens"
    assert "client -> host:8080/tcp" not in by_policy
    assert {str(change.cell.flow) for change in flows.together.flows.changes} == by_policy.keys()
    assert flows.of_several == 0


@pytest.mark.parametrize(("edits", "wanted"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_host_with_its_one_finding_mended_is_as_the_engine_would_write_it(
    edits: dict[str, Callable[[str], str]], wanted: list[str]
) -> None:
    if wanted == ["legacy"]:
        return  # the rules of the other back end are in no plan
    _, flows = differing(edits)
    assert flows.each[0].flows.changes == flows.together.flows.changes


def test_what_a_flush_takes_is_one_finding_and_mended_whole() -> None:
    def flushed(saved: str) -> str:
        head, nat, tail = saved.partition("*nat\n")
        table, commit, rest = tail.partition("COMMIT")
        return (
            head + nat + "".join(x for x in table.splitlines(True) if not x.startswith("-A")) + commit + rest
        )

    by_it, flows = differing({RULES: flushed})
    assert by_it["client -> host:8080/tcp"] == "path"
    assert by_it["tmp-plain-1 -> client:7000/tcp"] == "source"
    assert flows.of_several == 0


def test_networks_in_another_order_are_no_finding() -> None:
    def edit(saved: str) -> str:
        lines = saved.split("\n")
        own = [n for n, line in enumerate(lines) if line.startswith("-A FORWARD") and "docker0" in line]
        first_own = next(
            n for n, line in enumerate(lines) if line.startswith("-A FORWARD") and "-o br-" in line
        )
        moved = [lines[n] for n in own]
        rest = [line for n, line in enumerate(lines) if n not in own]
        at = rest.index(lines[first_own])
        return "\n".join([*rest[:at], *moved, *rest[at:]])

    assert found_on(changed({RULES: edit})) == []
