"""A configuration as firewalld 1.3 reads it: the files below /etc/firewalld."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from netlab.firewall.firewalld_config import Config, Port, Zone
from netlab.firewall.firewalld_rich import RichRule

_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'


def files(config: Config, backend: str) -> dict[str, str]:
    """Path below /etc/firewalld → contents; ``backend`` is FirewallBackend's value.

    Every zone in use is written out whole, which takes the place of the one that firewalld ships.
    """
    made = {
        "firewalld.conf": "".join(
            f"{key}={value}\n"
            for key, value in (
                ("DefaultZone", config.default_zone),
                ("CleanupOnExit", "yes"),
                ("Lockdown", "no"),
                ("IPv6_rpfilter", "yes"),
                ("IndividualCalls", "no"),
                ("LogDenied", "off"),
                ("FirewallBackend", backend),
                ("FlushAllOnReload", "yes"),
                ("RFC3964_IPv4", "yes"),
            )
        )
    }
    for zone in config.zones.values():
        made[f"zones/{zone.name}.xml"] = _zone(zone)
    if config.direct:
        made["direct.xml"] = _direct(config)
    return made


def _zone(zone: Zone) -> str:
    target = "" if zone.target == "default" else f' target="{zone.target}"'
    lines = [f"<zone{target}>", f"  <short>{escape(zone.name)}</short>"]
    lines += [f"  <interface name={quoteattr(name)}/>" for name in zone.interfaces]
    lines += [f"  <source address={quoteattr(address)}/>" for address in zone.sources]
    lines += [f"  <service name={quoteattr(service.name)}/>" for service in zone.services]
    lines += _ports("port", zone.ports)
    lines += [f"  <protocol value={quoteattr(protocol)}/>" for protocol in zone.protocols]
    lines += ["  <masquerade/>"] if zone.masquerade else []
    lines += _ports("source-port", zone.source_ports)
    for rule in zone.rich_rules:
        lines += _rich(rule)
    lines += ["  <forward/>"] if zone.forward else []
    return _HEAD + "\n".join([*lines, "</zone>"]) + "\n"


def _ports(element: str, ports: Iterable[Port]) -> list[str]:
    return [f'  <{element} protocol="{port.protocol}" port="{port.ports}"/>' for port in ports]


def _rich(rule: RichRule) -> list[str]:
    attributes = f' family="{rule.family.word}"' if rule.family is not None else ""
    attributes += f' priority="{rule.priority}"' if rule.priority else ""
    lines = [f"  <rule{attributes}>"]
    for element, address in (("source", rule.source), ("destination", rule.destination)):
        if address is not None:
            inverted = ' invert="True"' if address.inverted else ""
            lines.append(f"    <{element} address={quoteattr(address.text)}{inverted}/>")
    if rule.element:
        lines.append(f"    <{rule.element}{_attributes(rule.attributes.items())}/>")
    if rule.log is not None:
        lines.append(f"    <log{_attributes(rule.log.items())}>{_limit(rule.log_limit)}</log>")
    if rule.action:
        said = [("type", rule.reject)] if rule.reject else []
        lines.append(f"    <{rule.action}{_attributes(said)}>{_limit(rule.limit)}</{rule.action}>")
    return [*lines, "  </rule>"]


def _attributes(items: Iterable[tuple[str, str]]) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in items)


def _limit(limit: str) -> str:
    if not limit:
        return ""
    rate, _, unit = limit.partition("/")
    return f'<limit value="{rate}/{unit[0]}"/>'


def _direct(config: Config) -> str:
    lines = ["<direct>"]
    for rule in config.direct:
        where = (
            f'ipv="{rule.family.word}" table="{rule.table}" chain="{rule.chain}" priority="{rule.priority}"'
        )
        lines.append(f"  <rule {where}>{escape(shlex.join(rule.args))}</rule>")
    return _HEAD + "\n".join([*lines, "</direct>"]) + "\n"
