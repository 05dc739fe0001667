"""A collection of a host that nobody ran: what its engine would say, and perhaps rules from elsewhere.

Docker's own answers (``docker inspect``) are made from the engine's account of its networks and containers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from netlab.engine.contract import ContainerState, HostFacts
from netlab.engine.found import settings_of
from netlab.model.plan import NetworkFacts, Node, Plan
from netlab.model.rules import IptablesRuleset, NftFile, NftTable
from netlab.model.scenario import Host, PortMapping, Scenario
from netlab.model.version import engine_version
from netlab.plan.build import fold, make
from netlab.plan.render import nft_text, restore_text
from netlab.twin.archive import Collection

RULES = ("iptables.rules", "ip6tables.rules", "nft.rules")


def collection_of(scenario: Scenario, files: Mapping[str, str] | None = None) -> Collection:
    """The collection of a scenario's only host; ``files`` are in the place of what the plan would give."""
    host = scenario.hosts[0]
    facts = fold(scenario, host).facts
    plan = make(scenario)
    node = plan.node(host.name)
    found = {
        **_host_files(host, facts, node),
        **_docker_files(host, facts, plan),
        **_rules(node),
        **(files or {}),
    }
    return Collection(scenario.name, found, {})


def _lines(entries: Iterator[Mapping[str, Any]]) -> str:
    return "".join(f"{json.dumps(entry)}\n" for entry in entries)


def _rules(node: Node) -> dict[str, str]:
    found = dict.fromkeys(RULES, "")
    for ruleset in node.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            found[f"{ruleset.family.iptables}.rules"] = restore_text(ruleset)
        elif isinstance(ruleset, NftTable):
            found["nft.rules"] += nft_text(ruleset)
        elif isinstance(ruleset, NftFile):
            found["nft.rules"] += ruleset.text
    return found


def _host_files(host: Host, facts: HostFacts, node: Node) -> dict[str, str]:
    settings = {**settings_of(facts), **host.sysctls}
    settings |= {one.key: one.value for one in facts.sysctls}
    links = [{"ifname": "lo", "ifindex": 1, "flags": ["UP"], "mtu": 65536, "linkinfo": {}}]
    addresses = []
    for number, one in enumerate(node.interfaces, 2):
        link: dict[str, Any] = {"ifname": one.name, "ifindex": number, "flags": ["UP"], "mtu": one.mtu}
        own = one.kind == "bridge" or one.master
        link["linkinfo"] = {"info_kind": one.kind} if own else {}
        links.append(link | ({"master": one.master} if one.master else {}))
        infos = [dict(zip(("local", "prefixlen"), _split(a), strict=True)) for a in one.addresses]
        addresses.append({"ifname": one.name, "addr_info": infos})
    on = [
        key for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding") if host.sysctls.get(key) == "1"
    ]
    return {
        "uname": "Linux host 6.12.0\n",
        "links.json": json.dumps(links),
        "addresses.json": json.dumps(addresses),
        "sysctls": "".join(f"{key} = {value}\n" for key, value in settings.items()),
        "sysctl-files": "".join(f"/etc/sysctl.conf:{key}=1\n" for key in on),
        "ufw": "Status: active\n" if host.firewall.kind == "ufw" else "",
        "dockerd-flags": "".join(f"{key}={value}\n" for key, value in host.environment.items()),
        "wslinfo": "mirrored\n" if host.wsl2_mirrored else "",
        "firewalld-state": "running\n" if host.firewall.kind == "firewalld" else "",
    }


def _split(address: str) -> tuple[str, int]:
    own, _, size = address.partition("/")
    return own, int(size)


def _docker_files(host: Host, facts: HostFacts, plan: Plan) -> dict[str, str]:
    found = engine_version(facts.engine)
    backend = "nftables" if facts.engine.endswith("-nftables") else "iptables"
    return {
        "docker-version": f"{found.version}\n",
        "docker-backend": json.dumps({"Driver": backend}) if found.version.major >= 29 else "null\n",
        "daemon.json": json.dumps(dict(host.daemon)),
        "docker-networks.json": _lines(_networks(facts)),
        "docker-containers.json": _lines(_containers(facts, plan)),
    }


def _networks(facts: HostFacts) -> Iterator[dict[str, Any]]:
    for number, one in enumerate(facts.networks):
        own, spec = one.facts, one.spec
        pools: list[dict[str, Any]] = []
        for place, subnet in enumerate(own.subnets):
            pool: dict[str, Any] = {"Subnet": subnet}
            inside = [g for g in own.gateways if ip_address(g) in ip_network(subnet)]
            pool |= {"Gateway": inside[0]} if inside else {}
            if spec is not None and place < len(spec.pools):
                asked = spec.pools[place]
                pool |= {"IPRange": asked.ip_range} if asked.ip_range else {}
                pool |= {"AuxiliaryAddresses": dict(asked.aux_addresses)} if asked.aux_addresses else {}
            pools.append(pool)
        yield {
            "id": spec.id if spec is not None else f"{number:064x}",
            "name": own.name,
            "created": f"2026-01-01T00:00:00.{number:09}Z",
            "driver": spec.driver if spec is not None else "bridge",
            "scope": "local",
            "ipv4": spec is None or spec.enable_ipv4 is not False,
            "ipv6": any(":" in subnet for subnet in own.subnets),
            "internal": own.internal,
            "ipam": pools,
            "options": dict(spec.driver_opts) if spec is not None else {},
        }


def _containers(facts: HostFacts, plan: Plan) -> Iterator[dict[str, Any]]:
    names = {one.spec.node: one.spec.name for one in facts.containers}
    ids = {one.spec.node: one.spec.id for one in facts.containers}
    for number, one in enumerate(facts.containers):
        spec = one.spec
        mode = spec.network_mode
        if mode.startswith("container:"):
            mode = f"container:{ids[mode.partition(':')[2]]}"
        yield {
            "id": spec.id,
            "name": f"/{spec.name}",
            "status": "running" if one.running else "exited",
            "started": f"2026-01-01T00:01:00.{number:09}Z",
            "pid": 1000 + number if one.running else 0,
            "restart": spec.restart,
            "mode": mode,
            "exposed": {f"{port.port}/{port.protocol}": {} for port in spec.expose},
            "bindings": _bindings(spec.ports),
            "ports": _ports(one, plan),
            "networks": {n.facts.name: e for n in facts.networks if (e := _endpoint(n.facts, one, n.spec))},
            "sysctls": dict(spec.sysctls),
            "links": [f"/{names[node]}:/{spec.name}/{alias}" for node, alias in spec.links],
        }


def _bindings(ports: tuple[PortMapping, ...]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        low, high = port.host_ports or (0, 0)
        word = "" if not low else str(low) if low == high else f"{low}-{high}"
        entry = {"HostIp": port.host_ip, "HostPort": word}
        found.setdefault(f"{port.container_port}/{port.protocol}", []).append(entry)
    return found


def _ports(one: ContainerState, plan: Plan) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for own in plan.publications:
        if own.node == one.spec.node:
            for address in (own.host_address,) if own.host_address else ("0.0.0.0", "::"):
                entry = {"HostIp": address, "HostPort": str(own.host_port)}
                found.setdefault(f"{own.container_port}/{own.protocol}", []).append(entry)
    return found


def _endpoint(network: NetworkFacts, one: ContainerState, spec: Any) -> dict[str, Any]:
    for node, _, addresses in network.members:
        if node == one.spec.node:
            asked = next((e for e in one.spec.endpoints if e.network == network.name), None)
            return {
                "NetworkID": spec.id if spec is not None else "",
                "IPAddress": next((a.partition("/")[0] for a in addresses if ":" not in a), ""),
                "GlobalIPv6Address": next((a.partition("/")[0] for a in addresses if ":" in a), ""),
                "GwPriority": asked.gw_priority if asked is not None else 0,
            }
    return {}
