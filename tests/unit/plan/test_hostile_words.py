"""No word of a scenario becomes several words of a rule, or another rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netlab.engine.docker import endpoint_options, options
from netlab.lab.load import load_plan
from netlab.model.errors import UsageError
from netlab.model.rules import IptablesRuleset, NftTable
from netlab.plan import render

#: A name that would end a quoted word of nft's, and one that would add an option of iptables.
WORDS = ('x"; include "/etc/shadow', "x -j LED", '";include"sh*";', "x{;")
ENGINES = ("docker-29", "docker-29-nftables", "podman", "podman-4")
PODMAN = ("com.docker.network.bridge.name", "isolate", "metric", "no_default_route", "mode", "vlan", "vrf")
SERVICE = {"image": "x", "ports": ["80:80"]}


def described(key: str, word: str) -> dict[str, object]:
    """A scenario that has the word at the place of that key."""
    kind, _, name = key.partition(" ")
    net: dict[str, object] = {"driver_opts": {name: word}} if kind == "network" else {}
    joined: dict[str, object] = {"driver_opts": {name: word}} if kind == "endpoint" else {}
    service = dict(SERVICE) | ({name: word} if kind == "service" else {})
    host: dict[str, object] = {"daemon": {name: word}} if kind == "daemon" else {}
    if kind == "default":
        host = {"daemon": {"default-network-opts": {"bridge": {name: word}}}}
    if kind == "host":
        host = {name: {word: {"addresses": ["10.9.0.1/24"]}}}
    if kind == "attachment":
        joined = {name: word}
    if name == "name" and kind == "networks":
        net = {"name": word}
    return {
        "services": {"web": {**service, "networks": {"n": joined}}},
        "networks": {"n": net},
        "x-netlab": {"host": host},
    }


KEYS = (
    *(f"network {key}" for key in (*options.KNOWN, *PODMAN)),
    *(f"default {key}" for key in options.KNOWN),
    *(f"endpoint {key}" for key in endpoint_options.KNOWN),
    *(f"daemon {key}" for key in ("bridge", "bip", "ip", "fixed-cidr", "bridge-accept-fwmark")),
    "attachment interface_name", "service container_name", "service hostname", "networks name",
    "host interfaces", "host bridges",
)  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_word_stays_a_word(key: str, tmp_path: Path) -> None:
    """It is refused, or it is in no rule: not as it is, nor in parts."""
    for number, word in enumerate(WORDS):
        for engine in ENGINES:
            file = tmp_path / f"f{number}.yaml"
            file.write_text(json.dumps(described(key, word)))
            try:
                plan = load_plan([file], engine=engine)
            except UsageError:
                continue
            text = "".join(
                render.nft_input(one) if isinstance(one, NftTable) else render.restore_text(one)
                for node in plan.nodes
                for one in node.rulesets
                if isinstance(one, NftTable | IptablesRuleset)
            )
            assert word not in text, f"{engine}: {key}"
            assert "LED" not in text
            assert "shadow" not in text
