"""Plan × Plan → what changes, rules by their reason; and the verb without measuring."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from netlab.cli.main import main
from netlab.lab.load import load_plan
from netlab.model.family import Family
from netlab.model.plan import Node, Plan
from netlab.model.rules import Chain, IptablesRuleset, Rule, Table
from netlab.plan.diff import PlanDiff, diff
from netlab.plan.diff_rules import placed, rule_changes

SCENARIOS = Path(__file__).parents[3] / "scenarios"
SEED = SCENARIOS / "httpd.yaml"


def compare(before: str, after: str, file: Path = SEED) -> PlanDiff:
    return diff(load_plan([file], engine=before), load_plan([file], engine=after))


def node(*chains: tuple[str, list[tuple[str, str]]]) -> Node:
    """A host with chains of the filter table, each rule with its reason."""
    made = tuple(Chain(name, None, tuple(Rule(*rule) for rule in rules)) for name, rules in chains)
    ruleset = IptablesRuleset(Family.IPV4, (Table("filter", made),))
    return Node("host", "host", "host", rulesets=(ruleset,))


def kinds(before: Node | None, after: Node | None) -> list[tuple[str, str]]:
    return [(change.kind, change.rule.text) for change in rule_changes(before, after)[0]]


A, B, C = ("-i a -j ACCEPT", "a"), ("-i b -j ACCEPT", "b"), ("-i c -j DROP", "c")


def rules_of(engine: str) -> int:
    """How many rules the whole lab has."""
    return sum(len(placed(node)) for node in load_plan([SEED], engine=engine).nodes)


def test_equal_plans_do_not_differ() -> None:
    found = compare("docker-28", "docker-28")
    assert found.empty
    assert found.same_rules == rules_of("docker-28")


def test_a_minor_update_in_full() -> None:
    """28.0.4 → 28.5.2: a drop for each container, not for each published port; DOCKER-USER has no RETURN."""
    found = compare("docker-28.0.4", "docker-28.5.2")
    raw, user = ("raw PREROUTING", "filter DOCKER-USER")
    web = "-d 192.168.10.10/32 ! -i docker_httpd"
    assert [(c.kind, str((c.before or c.after).place), c.rule.text) for c in found.rules] == [  # type: ignore[union-attr]
        ("goes", f"ip {raw}", f"{web} -p tcp -m tcp --dport 80 -j DROP"),
        ("goes", f"ip {raw}", f"{web} -p tcp -m tcp --dport 443 -j DROP"),
        ("goes", f"ip {user}", "-j RETURN"),
        ("goes", f"ip6 {user}", "-j RETURN"),
        ("comes", f"ip {raw}", f"{web} -j DROP"),
    ]
    assert found.same_rules == 40


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ([A, B], [A, B, C], [("comes", C[0])]),
        ([A, B, C], [A, C], [("goes", B[0])]),
        ([A, B, C], [C, A, B], [("reordered", C[0])]),
        ([A, A], [A], [("goes", A[0])]),
        ([A], [("-i a -s 192.0.2.1/32 -j ACCEPT", "a")], [("rewritten", A[0])]),
        ([A], [("-i a -j DROP", "a")], [("goes", A[0]), ("comes", "-i a -j DROP")]),
    ],
)
def test_rules_of_one_chain(
    before: list[tuple[str, str]], after: list[tuple[str, str]], changes: list[tuple[str, str]]
) -> None:
    assert kinds(node(("X", before)), node(("X", after))) == changes


def test_a_rule_moves_to_another_chain_for_the_same_reason_only() -> None:
    assert kinds(node(("X", [A])), node(("Y", [A]))) == [("moves", A[0])]
    other = [(A[0], "something else")]
    assert kinds(node(("X", [A])), node(("Y", other))) == [("goes", A[0]), ("comes", A[0])]


def test_a_host_that_goes_or_comes_takes_its_rules_along() -> None:
    host = node(("X", [A, B]))
    assert [kind for kind, _ in kinds(host, None)] == ["goes", "goes"]
    assert [kind for kind, _ in kinds(None, host)] == ["comes", "comes"]


def test_every_rule_is_accounted_for_once() -> None:
    engines = ("docker-19.03", "docker-27", "docker-28", "docker-29", "docker-29-nftables")
    for before in engines:
        for after in engines:
            found = compare(before, after)
            old = rules_of(before)
            new = rules_of(after)
            assert found.same_rules + sum(c.before is not None for c in found.rules) == old
            assert found.same_rules + sum(c.after is not None for c in found.rules) == new


def test_there_and_back_is_the_same_difference() -> None:
    mirror = {"goes": "comes", "comes": "goes"}
    there, back = compare("docker-20.10", "docker-28"), compare("docker-28", "docker-20.10")
    for kind in ("goes", "comes", "moves", "rewritten", "reordered"):
        others = [c for c in back.rules if c.kind == mirror.get(kind, kind)]
        assert len([c for c in there.rules if c.kind == kind]) == len(others), kind


def test_an_upgrade_says_what_comes_and_why() -> None:
    found = compare("docker-27", "docker-28")
    raw = [c.after for c in found.rules if c.kind == "comes" and c.after and c.after.place.table == "raw"]
    assert [rule.reason for rule in raw if rule] == ["httpd on nw may not be reached by its own address"]
    moved = {c.rule.reason: str(c.after.place) for c in found.rules if c.kind == "moves" and c.after}
    assert moved["answers to what nw asked"] == "ip filter DOCKER-CT"


def test_the_nftables_backend_keeps_the_reasons() -> None:
    found = compare("docker-29", "docker-29-nftables")
    moved = {c.rule.text: c.after.text for c in found.rules if c.kind == "moves" and c.after}
    dnat = "! -i docker_httpd -p tcp -m tcp --dport 80 -j DNAT --to-destination 192.168.10.10:80"
    assert moved[dnat].startswith('iifname != "docker_httpd" tcp dport 80 counter dnat to 192.168.10.10:80')
    (policy,) = found.about("policy")
    assert (policy.name, policy.fields) == ("ip filter FORWARD", (("policy", "DROP", "ACCEPT"),))


def test_listeners_sysctls_and_links_without_the_proxy() -> None:
    on, off = (load_plan([SEED], daemon={"userland-proxy": value}) for value in (True, False))
    found = diff(on, off)
    listeners = {change.name: change.kind for change in found.about("listener")}
    assert listeners["[::]:80/tcp"] == "goes"
    assert listeners["0.0.0.0:80/tcp"] == "changes"
    assert ("net.ipv4.conf.docker_httpd.route_localnet", "comes") in {
        (change.name, change.kind) for change in found.about("sysctl")
    }
    assert any(("hairpin", "", "on") in change.fields for change in found.about("interface"))


def test_nodes_of_one_side_only() -> None:
    plan = load_plan([SEED])
    without = replace(plan, nodes=tuple(n for n in plan.nodes if n.name != "client"))
    (gone,) = diff(plan, without).about("node")
    assert (gone.kind, gone.node) == ("goes", "client")


@pytest.mark.parametrize(
    ("line", "applies"),
    [
        ("iptables -I DOCKER-USER -j DROP", False),
        ("iptables -A FORWARD -j DROP", True),
        ("iptables -t nat -I DOCKER -j RETURN", False),
        ("iptables -t raw -A PREROUTING -j DROP", True),
        ("nft add table inet mine", True),
    ],
)
def test_lines_that_the_nftables_backend_cannot_take(line: str, applies: bool) -> None:
    plan = load_plan([SCENARIOS / "docker-user.yaml"], engine="docker-29-nftables")
    host = plan.node("host")
    typed = replace(host, commands=(replace(host.commands[0], argv=tuple(line.split())),))
    changed: Plan = replace(plan, nodes=tuple(typed if n.name == "host" else n for n in plan.nodes))
    before, after = diff(changed, changed).inapplicable
    assert before == after
    assert [entry.rule.text for entry in after] == ([] if applies else [line])


def test_a_chain_that_is_made_first_is_there() -> None:
    plan = load_plan([SCENARIOS / "docker-user.yaml"], engine="docker-29-nftables")
    host = plan.node("host")
    lines = ("iptables -N DOCKER-USER", "iptables -A DOCKER-USER -j DROP")
    typed = replace(
        host, commands=tuple(replace(host.commands[0], argv=tuple(line.split())) for line in lines)
    )
    changed = replace(plan, nodes=tuple(typed if n.name == "host" else n for n in plan.nodes))
    assert diff(changed, changed).inapplicable == ((), ())


# ── the verb, without root ───────────────────────────────────────────────────────────────────────────────


def shown(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> str:
    assert main(["diff", *map(str, arguments), "--plan-only"]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def test_plan_only_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, SEED, "--engine", "docker-27", "--engine", "docker-28")
    assert text.startswith("docker-27 -> docker-28\n")
    assert "+ httpd on nw may not be reached by its own address" in text
    assert "> answers to what nw asked: to ip filter DOCKER-CT" in text
    assert "flows" not in text


def test_plan_only_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(
        shown(capsys, SCENARIOS / "docker-user.yaml", "--engine", "docker-29-nftables", "--json")
    )
    assert document["schema_version"] == 1
    assert document["before"] == "docker-20.10 as written"
    assert document["after"] == "docker-29-nftables"
    assert document["flows"] is None
    assert document["does_not_apply"]["before"] == []
    (entry,) = document["does_not_apply"]["after"]
    assert entry["reason"] == "docker-29-nftables has no chain ip filter DOCKER-USER"
    assert {rule["kind"] for rule in document["rules"]} == {"goes", "comes", "moves"}


def test_two_files(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, SCENARIOS / "direct-access.yaml", SCENARIOS / "direct-access-28.yaml")
    assert "~ host:  engine: docker-27 -> docker-28" in text


def test_a_setting_flipped(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, SEED, "--daemon", "userland-proxy=both")
    assert text.startswith("userland-proxy=true -> userland-proxy=false\n")
    assert "process: docker-proxy -> dockerd" in text


def test_nothing_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert "The two plans are the same." in shown(capsys, SEED, SEED)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--engine", "docker-26", "--engine", "docker-27", "--engine", "docker-28"),
        (str(SEED), "--engine", "docker-26", "--engine", "docker-27"),
        (str(SEED), str(SEED)),
    ],
)
def test_two_sides_and_no_other_number(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert "diff compares two" in shown(capsys, SEED, *arguments, code=2)
