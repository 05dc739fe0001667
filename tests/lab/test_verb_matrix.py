"""``netlab matrix`` and ``netlab explain``: tables of who reaches what, and rules that change a line."""

from __future__ import annotations

import json

from support.labs import ROOT, SEED, Netlab

TWIN = ROOT / "scenarios" / "httpd-no-proxy.yaml"


def test_variants_stand_side_by_side_and_differences_are_marked(netlab: Netlab) -> None:
    document = json.loads(netlab("matrix", TWIN, "--daemon", "userland-proxy=both", "--json").stdout)
    on, off = (variant["label"] for variant in document["variants"])
    assert (on, off) == ("userland-proxy=true", "userland-proxy=false")
    flows = {(one["from"], one["to"], one["family"]): one for one in document["flows"]}
    six = flows["client", "host:80/tcp", "ipv6"]
    assert six["differs"]
    assert six["answers"][on]["path"] == "proxy"
    assert six["answers"][off]["outcome"] == "refused"
    four = flows["client", "host:80/tcp", "ipv4"]
    assert not four["differs"]
    text = netlab("matrix", TWIN, "--daemon", "userland-proxy=both", "--differences").stdout
    assert "≠" in text
    assert " unpublished " not in text


def test_the_matrix_of_a_standing_lab(netlab: Netlab) -> None:
    lab = netlab.up()
    document = json.loads(netlab("matrix", lab, "--json").stdout)
    ways = {one["way"] for one in document["flows"]}
    assert ways == {"host address", "localhost", "gateway", "container address", "outside"}
    assert {one["role"] for one in document["flows"]} == {"host", "self", "LAN", "outbound"}
    answers = [one["answers"][""] for one in document["flows"]]
    assert len(answers) == 82
    assert all(answer["outcome"] != "unmeasured" for answer in answers)


def test_the_grid_of_what_is_open_from_outside_and_its_exit_code(netlab: Netlab) -> None:
    lab = netlab.up()
    done = netlab("matrix", lab, "--from", "outside", "--published", "--allow", "host:80", code=1)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["TO", "client,", "neighbour"] in rows
    assert ["host:[80,443]/tcp", "ipv4", "sender", "forward"] in rows
    assert ["host:[80,443]/tcp", "ipv6", "192.168.10.1", "proxy"] in rows
    assert "not allowed, but open: client -> host:443/tcp ipv6" in done.stderr
    assert "host:80/tcp" not in done.stderr
    netlab(
        "matrix", lab, "--from", "outside", "--to", "host:*", "--allow", "host:80", "--allow", "host:443/tcp"
    )
    wrong = netlab("matrix", lab, "--from", "cliant", code=2)
    assert "no node is named 'cliant'" in wrong.stderr


def test_a_variant_that_refuses_the_scenario_does_not_apply(netlab: Netlab) -> None:
    file = ROOT / "scenarios" / "docker-user.yaml"
    engines = ("--engine", "docker-20.10", "--engine", "docker-29-nftables")
    done = netlab("matrix", file, *engines)
    assert "docker-29-nftables does not apply" in done.stderr
    assert "DOCKER-USER" in done.stderr
    assert "does not apply" in done.stdout
    assert "timeout forward [DOCKER-USER]" in done.stdout


def test_engines_differ_in_direct_access(netlab: Netlab) -> None:
    engines = ("--engine", "docker-26", "--engine", "docker-28", "--engine", "docker-29-nftables")
    document = json.loads(netlab("matrix", SEED, *engines, "--json").stdout)
    flows = {(one["from"], one["to"], one["family"]): one for one in document["flows"]}
    answers = flows["client", "httpd@nw:80/tcp", "ipv4"]["answers"]
    assert [answers[label]["outcome"] for label in ("docker-26", "docker-28", "docker-29-nftables")] == [
        "ok", "timeout", "timeout",
    ]  # fmt: skip
    assert answers["docker-28"]["decided_by"]["table"] == "raw"


def test_explain_proves_a_rule_for_each_path(netlab: Netlab) -> None:
    lab = netlab.up()
    flows = ("client -> host:80", "httpd -> gateway:80", "host -> localhost:80", "client -> httpd:80")
    found = json.loads(netlab("explain", lab, *flows, "--json").stdout)["explanations"]
    places = [
        (one["before"]["flow"]["to"], one["before"]["flow"]["family"], one["rules"][0]["place"])
        for one in found
        if one["rules"]
    ]
    assert places == [
        ("host:80/tcp", "ipv4", "ip filter DOCKER-USER"),
        ("host:80/tcp", "ipv6", "ip6 filter INPUT"),
        ("gateway:80/tcp", "ipv4", "ip filter INPUT"),
        ("localhost:80/tcp", "ipv4", "ip filter INPUT"),
        ("localhost:80/tcp", "ipv6", "ip6 filter INPUT"),
        ("httpd:80/tcp", "ipv4", "ip filter DOCKER-USER"),
    ]
    assert all(one["proved"] and not one["others"] for one in found)
    assert all(one["compared"] >= 50 for one in found)


def test_explain_leaves_the_rules_as_they_were(netlab: Netlab) -> None:
    lab = netlab.up(SEED, "--engine", "docker-29-nftables")
    before = netlab.exec(lab, "host", "nft", "-s", "list", "ruleset")
    (found,) = json.loads(netlab("explain", lab, "client -> httpd:80", "--json").stdout)["explanations"]
    assert (found["wish"], found["proved"]) == ("allow", True)
    assert found["rules"][0]["place"] == "ip docker-bridges raw-PREROUTING"
    assert netlab.exec(lab, "host", "nft", "-s", "list", "ruleset") == before
