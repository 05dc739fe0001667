"""What is shown of a lab: the picture, and current rules beside their reasons."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.lab.load import load_plan
from netlab.model.family import Family
from netlab.model.plan import Plan
from netlab.view import lab as view
from netlab.view import ruleset

SEED = Path(__file__).parents[3] / "scenarios" / "httpd.yaml"


@pytest.fixture(scope="module")
def seed() -> Plan:
    return load_plan([SEED])


def test_the_picture_of_the_seed(seed: Plan) -> None:
    assert (
        "\n".join(view.picture(seed))
        == """\
httpd: docker-20.10, 1 container on 2 networks, 2 ports published

  client     198.51.100.2  2001:db8:1::2  on ext
  neighbour  198.51.100.3  2001:db8:1::3  on ext

  host  ext0 198.51.100.1 2001:db8:1::1  docker-20.10
  ├─ docker0  172.17.0.1  network bridge
  └─ docker_httpd  192.168.10.1  network nw
     └─ httpd  192.168.10.10  eth0

  published
  *:443/tcp → httpd:443  docker-proxy on 0.0.0.0 and [::]
  *:80/tcp  → httpd:80   docker-proxy on 0.0.0.0 and [::]"""
    )


def test_without_a_proxy_the_picture_says_who_holds_the_port() -> None:
    plan = load_plan([SEED], daemon={"userland-proxy": False})
    assert "0.0.0.0:80/tcp  → httpd:80   dockerd on 0.0.0.0" in "\n".join(view.picture(plan))


def test_long_lists_are_cut(tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    file.write_text(
        "services: {web: {image: x, deploy: {replicas: 30}}}\nx-netlab: {host: {engine: docker-20.10}}\n"
    )
    shown = "\n".join(view.picture(load_plan([file])))
    assert "30 containers" in shown
    assert "└─ … and 6 more" in shown


def test_colour_only_where_asked_for(seed: Plan) -> None:
    assert "\033[" not in "\n".join(view.picture(seed))
    assert "\033[1mhttpd\033[0m" in next(iter(view.picture(seed, colour=True)))


DUMP = """\
*filter
:FORWARD DROP [3:180]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
[4:240] -A FORWARD -j DOCKER-USER
[1:60] -A DOCKER -d 192.168.10.10/32 ! -i docker_httpd -o docker_httpd -p tcp -m tcp --dport 80 -j ACCEPT
[0:0] -A DOCKER-USER -s 203.0.113.9/32 -j DROP
[4:240] -A DOCKER-USER -j RETURN
COMMIT
"""


def test_rules_have_counters_and_reasons_and_unplanned_ones_say_so(seed: Plan) -> None:
    chains = ruleset.parse_save(DUMP, Family.IPV4, ruleset.Reasons(seed.node("host")))
    forward, docker, user = chains
    assert (forward.policy, forward.packets, forward.bytes) == ("DROP", 3, 180)
    assert docker.policy is None
    assert (docker.rules[0].packets, docker.rules[0].reason) == (1, "port 80 of httpd on nw, published")
    assert user.rules[0].reason == ruleset.FOREIGN
    assert user.rules[1].reason != ruleset.FOREIGN
    saved = "\n".join(ruleset.save_lines(chains, counters=True, reasons=False)) + "\n"
    assert saved == DUMP


def test_each_listed_rule_has_its_reason(seed: Plan) -> None:
    chains = ruleset.parse_save(DUMP, Family.IPV4, ruleset.Reasons(seed.node("host")))
    listing = (
        "Chain DOCKER (1 references)\n pkts bytes target\n    1    60 ACCEPT\n\n"
        "Chain DOCKER-USER (1 references)\n pkts bytes target\n    0     0 DROP\n    4   240 RETURN\n"
    )
    lines = list(ruleset.annotate(listing, chains))
    assert lines[2].endswith("# port 80 of httpd on nw, published")
    assert lines[6].endswith(f"# {ruleset.FOREIGN}")
    assert len({line.index("#") for line in lines if "#" in line}) == 1


def test_tables_that_iptables_did_not_make_are_native(seed: Plan) -> None:
    chains = ruleset.parse_save(DUMP, Family.IPV4, ruleset.Reasons(seed.node("host")))
    found = ruleset.native_tables(
        "table ip filter\ntable ip docker-bridges\ntable inet own\n", {"ip": chains}
    )
    assert found == [("ip", "docker-bridges"), ("inet", "own")]


def test_on_a_terminal_a_wide_rule_has_its_reason_below() -> None:
    listing = """\
Chain DOCKER (1 references)
 pkts bytes target     prot opt in     out     source               destination
    0     0 ACCEPT     6    --  !br-104a8f535298 br-104a8f535298  0.0.0.0/0            172.18.0.2  tcp dpt:80
    7   420 DROP       0    --  *      *       0.0.0.0/0            0.0.0.0/0
"""
    rules = [
        ruleset.LiveRule(0, 0, "…", "port 80 of web on default, published"),
        ruleset.LiveRule(7, 420, "…", "the rest"),
    ]
    chains = [ruleset.LiveChain("filter", "DOCKER", None, rules=rules)]
    assert list(ruleset.annotate(listing, chains, 80)) == [
        "Chain DOCKER (1 references)",
        "pkts bytes target prot opt in               out             source",
        "            destination",
        "   0     0 ACCEPT 6    --  !br-104a8f535298 br-104a8f535298 0.0.0.0/0 172.18.0.2",
        "            tcp dpt:80",
        "            # port 80 of web on default, published",
        "   7   420 DROP   0    --  *                *               0.0.0.0/0 0.0.0.0/0",
        "            # the rest",
    ]
    assert [line.rpartition("  # ")[2] for line in ruleset.annotate(listing, chains)][2:] == [
        "port 80 of web on default, published",
        "the rest",
    ]
    assert len(list(ruleset.annotate(listing, chains, 140))) == 4
