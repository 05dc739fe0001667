"""Podman's part of a twin, from a recorded host: Podman 4.3.1, three containers, a published port."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from support.collections import RECORDED, found_on

from netlab.lab.twins import Twin
from netlab.model.rules import FOUND, IptablesRuleset
from netlab.twin.anonymise import Anonymiser
from netlab.twin.archive import Collection, CollectionError, read_archive
from netlab.twin.draft import NOTES

ARCHIVE = RECORDED.with_name("podman-4.3.1.tar.gz")


def podmans(edits: Mapping[str, Callable[[str], str]] | None = None) -> Collection:
    """The recorded collection, with some of its files edited."""
    whole = read_archive(ARCHIVE.read_bytes(), ARCHIVE.name)
    return replace(
        whole, files={**whole.files, **{f: edit(whole.text(f)) for f, edit in (edits or {}).items()}}
    )


def test_containers_are_nodes_on_podmans_bridges() -> None:
    _, found = Twin(podmans()).plans()
    addresses = {
        node.container: [a for i in node.interfaces for a in i.addresses if ":" not in a]
        for node in found.nodes
        if node.kind == "container"
    }
    assert addresses == {
        "h16_web_1": ["10.89.0.2/24"], "h16_db_1": ["10.89.0.3/24"], "h16_plain_1": ["10.88.0.2/16"],
    }  # fmt: skip
    bridges = {i.name for i in found.node("host").interfaces if i.kind == "bridge"}
    assert bridges == {"podman0", "podman1"}
    assert {(one.protocol, one.port) for one in found.node("host").listeners} == {("tcp", 8080)}


def test_its_rules_are_known() -> None:
    _, found = Twin(podmans()).plans()
    rules = [
        rule
        for one in found.node("host").rulesets
        if isinstance(one, IptablesRuleset)
        for table in one.tables
        for chain in table.chains
        for rule in chain.rules
    ]
    assert len(rules) == 20
    assert not [rule for rule in rules if rule.reason == FOUND]
    assert "own/iptables.rules" not in Twin(podmans()).files


def test_nothing_is_found_on_the_healthy_host() -> None:
    assert found_on(podmans()) == []
    whole = podmans()
    files = Anonymiser(b"key").files({name: text.encode() for name, text in whole.files.items()})
    assert found_on(replace(whole, files={name: text.decode() for name, text in files.items()})) == []
    assert b"h16_web_1" not in files["podman-containers.json"]


def test_what_a_flush_took_is_mended_by_podman() -> None:
    flushed = podmans({"iptables.rules": lambda s: re.sub(r"(?m)^-A .*DNAT.*\n", "", s)})
    (finding,) = [one for one in found_on(flushed) if one.kind == "missing"]
    assert finding.mend == "podman network reload --all"
    assert any("2b4504145a391f5255dc1f48" in rule for rule in finding.rules), "the host's own id"


def test_what_a_twin_cannot_have_is_noted() -> None:
    """Podman 3 and CNI, and networks that netlab does not reproduce; no stopped container makes an engine."""
    older = Twin(podmans({"podman-version": lambda _: "3.4.2\n"}))
    assert "netlab does not know Podman 3.4.2" in older.files[NOTES]
    assert "h16_web_1" not in older.files["netlab.yaml"]
    internal = podmans(
        {"podman-networks.json": lambda s: s.replace('"internal":false', '"internal":true', 1)}
    )
    assert "Podman's network h16_front is left out" in Twin(internal).files[NOTES]
    stopped = podmans({"podman-containers.json": lambda s: s.replace('"running"', '"exited"')})
    assert 'engine: "podman' not in Twin(stopped).files["netlab.yaml"]


def test_beside_docker_each_has_its_own() -> None:
    """The same name in both: the service and its network of Docker's keep it."""
    podman = podmans()
    docker = read_archive(RECORDED.read_bytes(), RECORDED.name)
    theirs = {name: text for name, text in podman.files.items() if name.startswith("podman-")}
    name = json.loads(docker.text("docker-containers.json").splitlines()[0])["name"].removeprefix("/")
    theirs["podman-containers.json"] = (
        theirs["podman-containers.json"].replace("h16_db_1", name).replace("8080", "8090")
    )
    twin = Twin(replace(docker, files={**docker.files, **theirs}))
    _, found = twin.plans()
    assert 'engines: ["docker-20.10.24", "podman-4"]' in twin.files["netlab.yaml"]
    assert {name, f"{name}-podman", "h16_web_1"} <= {node.container for node in found.nodes}


@pytest.mark.parametrize("file", ["podman-networks.json", "podman-containers.json"])
def test_hostile_names_are_refused(file: str) -> None:
    with pytest.raises(CollectionError, match=r"is no name of Podman's"):
        Twin(podmans({file: lambda s: s.replace('"name":"h16_', '"name":"../h16_', 1)}))
