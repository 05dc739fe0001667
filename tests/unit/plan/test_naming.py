"""A service may be called like a host or an outside node: all of them have names, and can be asked for."""

from __future__ import annotations

from pathlib import Path

from netlab import plan, scenario
from netlab.journey.resolve import Resolver


def test_the_service_keeps_the_name(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("services:\n  client: {image: x}\n  host: {image: x, ports: ['81:80']}\n")
    made = plan.make(scenario.load([file], environ={}))
    kinds = {node.name: node.kind for node in made.nodes}
    assert (kinds["client"], kinds["outside-client"]) == ("container", "outside")
    assert (kinds["host"], kinds["host-host"]) == ("container", "host")
    assert kinds["neighbour"] == "outside"
    names = Resolver(made)
    assert names.node("client").kind == "container"
    assert names.node("service/client").name == "client"
    assert names.node("outside/client").name == "outside-client"
    assert names.node("host/host").name == "host-host"
    assert {network.host for network in made.networks} == {"host-host"}
    assert {publication.host for publication in made.publications} == {"host-host"}


def test_names_that_do_not_meet_stay(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("services:\n  web: {image: x}\n")
    made = plan.make(scenario.load([file], environ={}))
    assert {"host", "client", "neighbour", "web"} <= {node.name for node in made.nodes}
