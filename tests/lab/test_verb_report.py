"""``netlab report``: real labs, engines of both backends, and every rule that was hit has its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.labs import SEED, Netlab

import netlab
from netlab.journey.matrix import Selection
from netlab.lab.temporary import observed
from netlab.view.page.chains import Chains


def test_two_engines_beside_each_other(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    engines = ("--engine", "docker-20.10", "--engine", "docker-29-nftables")
    done = netlab("report", SEED, *engines, "--from", "client", "-o", file)
    assert re.search(r"report.html: \d+ flows, \d+ KiB", done.stderr)
    page = file.read_text()
    assert '<th scope="col">docker-20.10</th><th scope="col">docker-29-nftables</th>' in page
    assert 'data-differs="yes"' in page
    assert "ip docker-bridges" in page
    assert "through INPUT and not FORWARD" in page


def test_a_running_lab_and_a_file(netlab: Netlab, tmp_path: Path) -> None:
    lab = netlab.up()
    file = tmp_path / "report.html"
    netlab("report", lab, SEED, "--published", "--from", "client", "-o", file)
    page = file.read_text()
    assert f'<th scope="col">{lab}</th><th scope="col">httpd</th>' in page


def test_two_projects_on_one_host_are_one_column(netlab: Netlab, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    shop = tmp_path / "shop" / "compose.yaml"
    shop.write_text("services: {web: {image: nginx, ports: ['8080:80']}}\n")
    file = tmp_path / "report.html"
    chosen = ("--from", "client", "--published")
    netlab("report", SEED, "+", shop, SEED, *chosen, "-o", file)
    page = file.read_text()
    assert '<th scope="col">httpd</th><th scope="col">httpd</th>' in page
    asked = '<tr data-key="[^"]*" data-origin="client" data-target="{}" data-family="ipv4" .*?</tr>'
    both, one = (re.search(asked.format(to), page, re.DOTALL) for to in ("host:80/tcp", "host:8080/tcp"))
    assert both is not None
    assert both[0].count('class="answer ok"') == 2
    assert one is not None
    assert one[0].count('class="answer ok"') == 1
    failed = netlab("report", SEED, "+", "-o", file, code=2)
    assert "+ stands between two files: a.yaml + b.yaml" in failed.stderr


def test_what_cannot_be_reported(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    failed = netlab("report", SEED, "--from", "nobody", "-o", file, code=2)
    assert "no node is named 'nobody'" in failed.stderr
    assert not file.exists()


@pytest.mark.parametrize("engine", ["docker-28", "docker-29-nftables"])
@pytest.mark.parametrize("firewall", ["none", "firewalld"])
def test_every_rule_that_was_hit_has_its_place_in_its_chain(engine: str, firewall: str) -> None:
    plan = netlab.load_plan([SEED], engine=engine, firewall=firewall)
    column, found, rules = observed("", lambda: plan, Selection(origins=["client", "httpd"]))
    assert found is not None
    chains = Chains(found, rules, "x")
    lost = []
    for _, journey in column.answers.values():
        for leg in journey.legs:
            for hit in (hit for visit in leg.hooks for hit in visit.rules):
                chain = chains.of(leg.node, hit)
                if chain is None or (hit.rule is not None and chain.number_of(hit) is None):
                    lost.append(hit)
    assert lost == []
