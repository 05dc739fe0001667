"""The settings of a version of Docker that shape packets, unless ``daemon.json`` says otherwise."""

from __future__ import annotations

import json

from netlab.engine.docker.daemon_json import Daemon, read
from netlab.engine.docker.traits import Traits
from netlab.engine.ipam import DEFAULT_POOLS
from netlab.model.version import NFTABLES_SPAN, EngineVersion
from netlab.scenario.daemon import KEYS

#: daemon.json's name of what :class:`Daemon` keeps
_SHOWN = {
    "iptables": "iptables",
    "ip6tables": "ip6tables",
    "ip-forward": "ip_forward",
    "ip-forward-no-drop": "ip_forward_no_drop",
    "ip-masq": "ip_masq",
    "icc": "icc",
    "ipv6": "ipv6",
    "userland-proxy": "userland_proxy",
    "allow-direct-routing": "allow_direct_routing",
    "live-restore": "live_restore",
    "mtu": "mtu",
}


def settings(found: EngineVersion) -> tuple[tuple[str, str], ...]:
    """(key of daemon.json, its value where nobody set it), of the keys that this version knows."""
    daemon: Daemon = read({}, Traits(found))
    shown = {key: json.dumps(getattr(daemon, name)) for key, name in _SHOWN.items()}
    shown["firewall-backend"] = "nftables" if found.nftables else "iptables"
    known = [key for key in shown if key in KEYS and found.version in KEYS[key].span]
    if found.version not in NFTABLES_SPAN:
        known = [key for key in known if key != "firewall-backend"]
    pools = ", ".join(f"{base} in /{size}" for base, size in DEFAULT_POOLS)
    return (*((key, shown[key]) for key in known), ("default-address-pools", pools))
