"""An engine that is not Docker, by the contract alone: brought up, probed, compared with Docker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.entry_points import installed
from support.labs import SEED, Netlab
from support.toy_engine import TOY

import netlab as api
from netlab.engine import register
from netlab.model import engine_names


def test_a_lab_of_another_engine_comes_up_and_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_names, "registered", {})
    register(TOY)
    with api.Lab(SEED, engine="toy") as lab:
        ipv4, ipv6 = lab.probe_all("client -> host:80/tcp")
        assert (ipv4.outcome, ipv4.path, ipv4.answered_by) == ("ok", "forward", "httpd")
        assert ipv4.sees is not None
        assert ipv4.sees.node == "client"
        assert ipv6.outcome == "refused"
        (rule,) = [r for r in lab.rules().chain("PREROUTING", table="nat").rules if "--dport 80 " in r.text]
        assert rule.reason == "httpd publishes 80"


def test_diff_measures_what_a_change_of_engine_does(netlab: Netlab, tmp_path: Path) -> None:
    netlab.extra = installed(tmp_path, "toy = support.toy_engine:TOY")
    out = netlab("diff", SEED, "--engine", "docker-28", "--engine", "toy", "--json").stdout
    changes = {(c["from"], c["to"], c["family"]): c for c in json.loads(out)["flows"]["changes"]}
    assert changes["client", "host:80/tcp", "ipv6"]["kind"] == "closes"
    assert changes["client", "httpd@nw:80/tcp", "ipv4"]["kind"] == "opens"
    assert ("client", "host:80/tcp", "ipv4") not in changes
