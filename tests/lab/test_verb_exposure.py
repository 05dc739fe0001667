"""``netlab exposure`` in labs: the kernel's proof of one plan and of a comparison, and a disproof."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.labs import SEED, Netlab

import netlab as package
from netlab.exposure.exposure import Exposure
from netlab.lab.exposure import prove
from netlab.model.family import Family

ONE_PORT = """
services: {web: {image: nginx, ports: ["80:80"]}}
x-netlab: {host: {engine: docker-28}}
"""


def test_the_kernel_proves_a_running_lab(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(ONE_PORT)
    netlab("up", str(file))
    done = netlab("exposure", "shop", "-4", "--from", "client", "--to", "198.51.100.1", "--json")
    found = json.loads(done.stdout)
    assert found["proof"]["packets"] >= 8
    assert (found["proof"]["disagreements"], found["proof"]["unmeasured"]) == ([], [])
    assert {one["fate"]["word"] for one in found["parts"][0]["regions"]} == {"reaches", "refused"}


def test_forged_sources_prove_a_file(netlab: Netlab) -> None:
    out = netlab("exposure", SEED, "-4", "--to", "198.51.100.1").stdout
    assert "The kernel agrees: " in out
    agreed, tried = next(
        (line.split()[3], line.split()[5]) for line in out.splitlines() if line.startswith("The kernel")
    )
    assert agreed == tried
    assert int(tried) > 50


def test_the_witnesses_of_a_comparison_are_sent_on_both_sides(netlab: Netlab, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(ONE_PORT)
    engines = ("--engine", "docker-27", "--engine", "docker-28")
    done = netlab("exposure", str(file), *engines, "-4", "--from", "client", "--to", "web", "--json")
    (part,) = json.loads(done.stdout)["parts"]
    assert any(change["opens"] is False and change["witness"] for change in part["changes"])
    assert "expected" not in done.stderr


def test_a_rule_that_the_plan_does_not_know_is_a_disproof(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(ONE_PORT)
    with package.Lab(file) as lab:
        rule = ["iptables", "-w", "-I", "DOCKER-USER", "-p", "tcp", "--dport", "80", "-j", "DROP"]
        lab.exec("host", rule, check=True)
        exposure = Exposure.of(lab.plan, "client", "198.51.100.1", [Family.IPV4])
        proof = prove(lab.client, exposure)
    (wrong,) = {one.problem for one in proof.wrong}
    assert wrong == "expected reaches, it was dropped in filter DOCKER-USER"


def test_a_lab_says_what_is_open_and_what_should_not_be(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(ONE_PORT.replace('"80:80"', '"80:80", "9000:80"'))
    with package.Lab(file) as lab:
        lab.exposure("outside", "host", reaches=["host:80/tcp", "host:9000"], nothing_else=True)
        with pytest.raises(package.ExposureFailed) as caught:
            lab.exposure("outside", "host", family=4, reaches=["host:80/tcp"], nothing_else=True)
        text = str(caught.value)
        assert "ipv4 from ext0 of host: tcp 9000 to " in text
        assert "→ web:80, forward" in text
        assert "which nobody expects; for example client -> " in text
        witness = caught.value.offences[0].witness
        assert witness is not None
        assert lab.probe(witness).path == "forward"
        with pytest.raises(package.ExposureFailed, match="host:81 is not reached by any packet"):
            lab.exposure("outside", reaches=["host:81"])
    with pytest.raises(package.LabError):
        lab.exposure()
