"""``x-netlab``'s hosts, with the defaults that a plain Compose file gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from netlab.model.engine_names import is_podman, kind_of
from netlab.model.ipset_save import IPSETS
from netlab.model.problem import OptionName, Position, ScenarioError
from netlab.model.scenario import (
    Firewall,
    Found,
    Host,
    HostRule,
    JsonValue,
    OutsideInterface,
    TenantBridge,
)
from netlab.scenario.addresses import interface_address
from netlab.scenario.containers_conf import read_containers_conf
from netlab.scenario.daemon import DAEMON
from netlab.scenario.netlab_shapes import FIREWALL, wrong_engine
from netlab.scenario.nft_order import NftTables
from netlab.scenario.ports import read_exposed, udp_routed
from netlab.scenario.reader import read
from netlab.scenario.routes import read_host_routes, read_routing_policy
from netlab.scenario.rule_files import (
    chains_of,
    check_ipset_file,
    check_iptables_file,
    check_nft_file,
)
from netlab.scenario.rules import BRIDGE, RuleError, made_chains, parse_rule
from netlab.scenario.segments import UNSAID
from netlab.scenario.settings import json_or_text
from netlab.scenario.sysctls import dotted, wrong_sysctl
from netlab.scenario.tree import Mark, Report, Value, made, shown

HOST_INTERFACE = "ext0"
SEGMENT = "ext"
WINDOWS_INTERFACE = "loopback0"
#: documentation addresses (RFC 5737, RFC 3849)
HOST_ADDRESSES = ("198.51.100.1/24", "2001:db8:1::1/64")

#: reads a file that a scenario refers to; None after a reported problem
ReadFile = Callable[[Value], str | None]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says over the files, for every host.

    ``daemon`` holds values of daemon.json; a string that is JSON counts as that JSON (``"false"``).
    ``name`` is the lab's; ``scale`` the number of containers of some services.
    """

    engine: str | None = None
    firewall: str | None = None
    daemon: Mapping[str, JsonValue] = field(default_factory=dict)
    name: str | None = None
    scale: Mapping[str, int] = field(default_factory=dict)


def read_hosts(
    netlab: Value, at: Mark, overrides: Overrides, read_file: ReadFile, report: Report
) -> tuple[Host, ...]:
    """All hosts; one called ``host`` if the file names none."""
    single, several, rules = netlab.get("host"), netlab.get("hosts"), netlab.get("rules")
    if single is not None and several is not None:
        report.add(netlab.key_at("host"), "x-netlab has both host and hosts: use hosts for all")
    named: list[tuple[str, Mark, Value]] = []
    if several is not None and several.data:
        for name, value in several.pairs():
            named.append(
                (name, several.key_at(name), value if value.data is not None else Value({}, value.at))
            )
    else:
        named.append(("host", netlab.key_at("host") if single is not None else at, single or Value({}, at)))
    if rules is not None and len(named) > 1:
        report.add(
            netlab.key_at("rules"), "x-netlab.rules: with several hosts, rules belong under one of them"
        )
        rules = None
    alone = len(named) == 1
    return tuple(
        _host(name, mark, value, rules, alone, overrides, read_file, report) for name, mark, value in named
    )


def _host(
    name: str,
    at: Mark,
    value: Value,
    rules: Value | None,
    alone: bool,
    overrides: Overrides,
    read_file: ReadFile,
    report: Report,
) -> Host:
    path = "x-netlab.host" if alone and name == "host" else f"x-netlab.hosts.{name}"
    daemon, positions = _daemon(value.get("daemon"), overrides.daemon, report)
    engine, beside = _engines(path, value, overrides.engine, report)
    conf = value.get("containers_conf")
    settings, podman = read_containers_conf(path, conf, beside or engine, overrides.engine, report)
    engine, beside = (engine, podman) if beside else (podman, "")
    firewall = _firewall(value.get("firewall"), overrides.firewall, read_file, report)
    found = _found(path, value.get("found"), overrides, read_file, report)
    sysctls, bridges, proxy = value.get("sysctls"), value.get("bridges"), value.get("proxy")
    env, choice = value.get("environment"), value.get("choice")
    return Host(
        name=name,
        position=Position(*at),
        engine=engine,
        beside=beside,
        daemon=daemon,
        daemon_positions=positions,
        containers_conf=settings,
        compose=_compose(path, value.get("compose"), beside or engine, overrides.engine, report),
        firewall=firewall,
        found=found,
        interfaces=_mirrored(value, _interfaces(path, value, alone, report)),
        bridges=tuple(
            TenantBridge(key, read_addresses(entry.get("addresses")))
            for key, entry in (bridges.pairs() if bridges is not None else ())
        ),
        sysctls=_sysctls(path, sysctls, report),
        routes=read_host_routes(path, value.get("routes"), report),
        routing_policy=read_routing_policy(path, value.get("routing_policy"), report),
        listen=read_exposed(value.get("listen"), f"{path}.listen", report),
        udp_routed=udp_routed(value),
        rules=read_rules((value.get("rules"), rules), report, (*firewall.files.values(), *_files_of(found))),
        proxy=proxy.text if proxy is not None else "shared",
        wsl2_mirrored=value.get("wsl2") is not None,
        rootless=_rootless(path, value, engine, beside, report),
        environment={key: entry.text for key, entry in (env.pairs() if env is not None else ())},
        choice=choice.number if choice is not None else 1,
    )


def _sysctls(path: str, value: Value | None, report: Report) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, entry in value.pairs() if value is not None else ():
        wrong = wrong_sysctl(dotted(key), entry.text)
        if wrong:
            report.add(value.key_at(key) if value else entry.at, f"{path}.sysctls: {wrong}")
        found[dotted(key)] = entry.text
    return found


def _engines(path: str, value: Value, override: str | None, report: Report) -> tuple[str, str]:
    """The host's engine, and Podman's beside it: ``engines`` has one of Docker's and one of Podman's."""
    several = value.get("engines")
    if several is None:
        return _engine(value.get("engine"), override, report), ""
    if value.get("engine") is not None:
        report.add(value.key_at("engine"), f"{path} has both engine and engines: use engines for both")
    found = {kind_of(item.text): item.text for item in several}
    if len(list(several)) != 2 or set(found) != {"docker", "podman"}:
        report.add(several.at, f"{path}.engines: two engines on one host are one of Docker and one of Podman")
        return "docker", "podman"
    if override is not None:
        found[kind_of(_engine(None, override, report))] = override
        if set(found) != {"docker", "podman"}:
            wrong = f"{path} has Docker and Podman: {shown(override)} can stand for neither"
            report.add((OptionName("engine"), 1, 1), wrong)
            return "docker", ""
    return found["docker"], found["podman"]


def _rootless(path: str, value: Value, engine: str, beside: str, report: Report) -> bool:
    written = value.get("rootless")
    if written is None or not written.data:
        return False
    if beside or kind_of(engine) not in ("docker", "podman"):
        instead = "one engine" if beside else f"engine: podman in place of {engine}"
        report.add(
            written.at, f"{path}.rootless: netlab reproduces it with one engine alone: write {instead}"
        )
    return True


def _engine(value: Value | None, override: str | None, report: Report) -> str:
    if override is not None:
        wrong = wrong_engine(override)
        if wrong:
            report.add((OptionName("engine"), 1, 1), f"unknown engine {wrong}")
        return override
    return value.text if value is not None else "docker"


def _compose(
    path: str, value: Value | None, engine: str, override: str | None, report: Report
) -> Literal["", "docker-compose", "podman-compose"]:
    """What brings the project up; Docker has one way, Podman two."""
    if value is None:
        return ""
    if not is_podman(engine):
        if value.text == "podman-compose" and override is None:
            report.add(value.at, f"{path}.compose: podman-compose is Podman's, and the engine is {engine}")
        return ""
    return cast(Literal["docker-compose", "podman-compose"], value.text)


def _daemon(
    value: Value | None, override: Mapping[str, JsonValue], report: Report
) -> tuple[dict[str, JsonValue], dict[str, Position]]:
    settings: dict[str, JsonValue] = {}
    positions: dict[str, Position] = {}
    for key, entry in value.pairs() if value is not None else ():
        settings[key] = entry.plain()
        positions[key] = entry.position
    if override:
        typed = {key: json_or_text(v) if isinstance(v, str) else v for key, v in override.items()}
        mark = (OptionName("daemon"), 1, 1)
        checked = DAEMON.clean(made(typed, mark), "", report)
        for key, entry in checked.pairs() if checked is not None else ():
            settings[key] = entry.plain()
            positions[key] = entry.position
    return settings, positions


# -- the firewall


def _firewall(value: Value | None, override: str | None, read_file: ReadFile, report: Report) -> Firewall:
    if override is not None:
        value = _parse_override(override, report)
    if value is None:
        return Firewall()
    if isinstance(value.data, str):
        return Firewall(kind=cast(Literal["none", "ufw", "firewalld"], value.text))
    kinds: list[str] = [kind for kind in ("ufw", "firewalld") if kind in value.map]
    if value.get("iptables") is not None or value.get("ip6tables") is not None:
        kinds.append("iptables")
    elif "nftables" in value.map:
        kinds.append("nftables")
    if len(kinds) != 1:
        what = f"{' and '.join(kinds)} cannot be combined" if kinds else "it is empty"
        report.add(value.at, f"firewall: {what}")
        return Firewall()
    kind = cast(Literal["ufw", "firewalld", "iptables", "nftables"], kinds[0])
    options: dict[str, JsonValue] = {}
    files: dict[str, str] = {}
    names: dict[str, str] = {}
    positions: dict[str, Position] = {}
    inner = value.get(kind) if kind in ("ufw", "firewalld") else value
    for key, entry in inner.pairs() if inner is not None else ():
        if key in ("iptables", "ip6tables", "nftables", "after_rules", "after6_rules", IPSETS):
            content = read_file(entry)
            if content is not None:
                files[key], names[key] = content.replace("\r\n", "\n"), entry.text
                _check_file(key, entry.text, files[key], report)
        else:
            options[key] = entry.plain()
            positions.update(_positions(key, entry))
    return Firewall(kind, options, files, (), names, positions)


def _found(
    path: str, value: Value | None, overrides: Overrides, read_file: ReadFile, report: Report
) -> Found | None:
    """``found``: it holds with the file's own engine, firewall and daemon.json only."""
    if value is None or overrides.engine or overrides.firewall or overrides.daemon:
        return None
    files: dict[str, str] = {}
    names: dict[str, str] = {}
    for key in ("iptables", "ip6tables", "nftables", IPSETS):
        entry = value.get(key)
        content = read_file(entry) if entry is not None else None
        if entry is not None and content is not None:
            files[key], names[key] = content.replace("\r\n", "\n"), entry.text
            _check_file(key, entry.text, files[key], report)
    settings = _sysctls(f"{path}.found", value.get("sysctls"), report)
    return Found(files, settings, names)


def _files_of(found: Found | None) -> Iterable[str]:
    return () if found is None else found.files.values()


def _positions(path: str, value: Value) -> Iterator[tuple[str, Position]]:
    """The place of everything below a value, by its path: ``zones.public.ports.1``."""
    yield path, value.position
    for key, entry in (*value.pairs(), *((str(number), item) for number, item in enumerate(value))):
        yield from _positions(f"{path}.{key}", entry)


def _check_file(key: str, name: str, content: str, report: Report) -> None:
    if key == "nftables":
        check_nft_file(name, content, report)
    elif key == IPSETS:
        check_ipset_file(name, content, report)
    else:
        others = "ufw" if key in ("after_rules", "after6_rules") else ""
        check_iptables_file(name, content, report, others, 6 if "6" in key else 4)


def _parse_override(text: str, report: Report) -> Value | None:
    """``--firewall`` takes a word, or a mapping as a file would hold it."""
    try:
        value = read(text.encode("utf-8", "surrogateescape"), OptionName("firewall"))
        return FIREWALL.clean(value, "firewall", report)
    except ScenarioError as error:
        report.problems.extend(error.problems)
        return None


# -- interfaces


def read_addresses(value: Value | None) -> tuple[str, ...]:
    """As they were checked, in the shortest spelling."""
    return tuple(dict.fromkeys(str(interface_address(item.text)) for item in value or ()))


def _interfaces(path: str, value: Value, alone: bool, report: Report) -> tuple[OutsideInterface, ...]:
    addresses, several = value.get("addresses"), value.get("interfaces")
    if several is None:
        if addresses is None and not alone:
            report.add(value.at, f"{path} needs addresses, since there are several hosts")
        own = HOST_ADDRESSES if addresses is None else read_addresses(addresses)
        return (OutsideInterface(HOST_INTERFACE, own, SEGMENT, UNSAID),)
    found = {name: read_interface(name, entry) for name, entry in several.pairs()}
    if addresses is not None:
        first = found.get(HOST_INTERFACE)
        if first is not None and first.addresses:
            report.add(
                addresses.at, f"{path}: addresses is short for interfaces.ext0.addresses, which is given, too"
            )
        uplink = first or OutsideInterface(HOST_INTERFACE, (), SEGMENT, UNSAID)
        found.pop(HOST_INTERFACE, None)
        found = {HOST_INTERFACE: replace(uplink, addresses=read_addresses(addresses)), **found}
    return tuple(found.values())


def _mirrored(value: Value, interfaces: tuple[OutsideInterface, ...]) -> tuple[OutsideInterface, ...]:
    """The host's interfaces, and with WSL2's mirrored networking Windows' own, on a segment ``windows``."""
    there = {interface.name for interface in interfaces}
    if value.get("wsl2") is None or WINDOWS_INTERFACE in there:
        return interfaces
    return (*interfaces, OutsideInterface(WINDOWS_INTERFACE, (), "windows", UNSAID))


def read_interface(name: str, value: Value) -> OutsideInterface:
    """An interface of a host's or an outside node's."""
    segment, mtu = value.get("segment"), value.get("mtu")
    return OutsideInterface(
        name,
        read_addresses(value.get("addresses")),
        segment.text if segment is not None else SEGMENT,
        mtu.number if mtu is not None else UNSAID,
        Position(*(mtu or value).at),
    )


def read_rules(
    lists: Sequence[Value | None], report: Report, files: Iterable[str] = (), *, host: bool = True
) -> tuple[HostRule, ...]:
    """The administrator's lines, which may jump to chains of the lines above and of the host's ``files``.

    ``host``: whether it is a host on which they run, which has the engine's bridges.
    """
    files = tuple(files)
    chains = {name for text in files for name in chains_of(text)}
    tables = NftTables(files)
    found = []
    for item in (item for value in lists for item in value or ()):
        if not host and BRIDGE in item.text:
            report.add(item.at, f"rules: {BRIDGE}…}} is the name of a host's bridge, which no other node has")
            continue
        try:
            argv = parse_rule(item.text, chains)
        except RuleError as error:
            report.add(item.at, f"rules: {error}")
            continue
        chains |= made_chains(argv)
        wrong = tables.wrong(argv) if argv[0] == "nft" else ""
        if wrong:
            report.add(item.at, f"rules: {wrong}")
            continue
        found.append(HostRule(argv, item.position))
    return tuple(found)


def _chains_of(firewall: Firewall) -> frozenset[str]:
    return frozenset(name for text in firewall.files.values() for name in chains_of(text))


def own_chains(hosts: Iterable[Host]) -> frozenset[str]:
    """The chains of the administrators' own, from their files and lines."""
    files = [_chains_of(host.firewall) for host in hosts]
    files += [chains_of(text) for host in hosts for text in _files_of(host.found)]
    return frozenset().union(*files, *(made_chains(rule.argv) for host in hosts for rule in host.rules))
