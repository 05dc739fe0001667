"""Two Compose projects on one host, as running labs: what one has of the other's is real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.labs import Netlab

import netlab as api

EDGE = """
name: edge
services:
  proxy: {image: "traefik:v3", ports: ["80:80"], networks: [web]}
  db: {image: "redis:7"}
networks: {web: {name: web}}
"""
SHOP = """
name: shop
services:
  site: {image: "nginx:1", networks: [web, default], external_links: ["edge-proxy-1:front"]}
  db: {image: "postgres:16"}
  sniff: {image: "netshoot:1", network_mode: "container:edge-proxy-1"}
networks: {web: {external: true}}
x-netlab:
  services: {sniff: {listen: [9000]}}
  expect:
    - {flow: "site -> proxy:80", ipv4: ok bridge}
    - {flow: "site -> db:5432", ipv4: ok bridge}
    - {flow: "site -> sniff:9000", ipv4: {outcome: ok, sees: site}}
    - {flow: "edge-db -> db:5432", ipv4: timeout}
"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, text in (("edge", EDGE), ("shop", SHOP)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "compose.yaml").write_text(text)
    return [str(tmp_path / "edge"), "+", str(tmp_path / "shop")]


def test_the_command_line_takes_them_everywhere(netlab: Netlab, files: list[str]) -> None:
    up = netlab("up", *files)
    assert "network shop_default" in up.stdout
    listed = json.loads(netlab("ls", "--json").stdout)["labs"]
    (lab,) = (one for one in listed if one["name"] == "edge")
    assert [Path(file).parent.name for file in lab["files"]] == ["edge", "shop"]
    front = netlab.exec("edge", "site", "getent", "hosts", "front").split()[0]
    assert front == netlab.exec("edge", "site", "getent", "hosts", "proxy").split()[0]
    own = netlab.exec("edge", "shop-db", "getent", "hosts", "db").split()[0]
    assert own != netlab.exec("edge", "edge-db", "getent", "hosts", "db").split()[0]
    assert "is up already, and unchanged" in netlab("up", *files).stderr
    Path(files[2], "compose.yaml").write_text(
        SHOP.replace('"postgres:16"', '"postgres:16", ports: ["5432:5432"]')
    )
    changed = netlab("up", *files)
    assert "*:5432/tcp → shop-db:5432" in changed.stdout
    assert "edge-proxy-1" not in changed.stderr
    netlab("down", f"{files[2]}/compose.yaml")
    assert "4 passed" in netlab("verify", *files).stdout
    table = json.loads(netlab("matrix", *files, "--from", "site", "--to", "proxy", "--json").stdout)
    outcomes = {
        flow["to"]: flow["answers"][""]["outcome"] for flow in table["flows"] if flow["family"] == "ipv4"
    }
    assert outcomes["proxy@web:80/tcp"] == "ok"
    other = netlab("diff", *files, "--engine", "docker-27", "--engine", "docker-28", "--plan-only")
    assert "docker-27" in other.stdout


def test_python_takes_them(files: list[str]) -> None:
    edge, shop = (f"{folder}/compose.yaml" for folder in (files[0], files[2]))
    with api.Lab(edge, "+", shop, engine="docker-27") as lab:
        assert lab.expect("site -> proxy:80", "ok bridge")
        lab.do("restart shop-db")
        assert lab.probe("site -> shop-db:5432", family=4).outcome == "ok"
