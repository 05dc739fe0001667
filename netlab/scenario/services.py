"""``services:`` → :class:`Service`: one service at a time, independent of the others."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from netlab.model.problem import Position
from netlab.model.scenario import Attachment, ExposedPort, PortMapping, RestartPolicy, Service
from netlab.scenario.addresses import address, wrong_interface, wrong_mac
from netlab.scenario.hosts import read_rules
from netlab.scenario.image_ports import image_ports
from netlab.scenario.ports import read_exposed, read_ports, udp_routed
from netlab.scenario.sysctls import wrong_sysctl
from netlab.scenario.tree import Mark, Report, Value, hint, shown

#: so that LAB.NODE fits into a file name
NAME_LENGTH = 128
#: __NEW_UTS_LEN (include/uapi/linux/utsname.h)
HOSTNAME_LENGTH = 64
SHARES = "shares the network of"
RESTART: dict[str, RestartPolicy] = {word: word for word in ("no", "always", "unless-stopped", "on-failure")}
#: ``deploy.restart_policy.condition``
CONDITIONS: dict[str, RestartPolicy] = {
    "none": "no",
    "on-failure": "on-failure",
    "unless-stopped": "unless-stopped",
    "any": "always",
    "": "always",
}
MODES = ("bridge", "host", "none")
#: those of a rootless Podman
USER_MODES = ("pasta", "slirp4netns")
_CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
_CAPABILITY = re.compile(r"(?:CAP_)?([A-Za-z0-9_]+)", re.ASCII)
_DOTTED_MAC = re.compile(r"[0-9a-fA-F]{4}(?:\.[0-9a-fA-F]{4}){2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Draft:
    """A service and the places that checks across services point at."""

    service: Service
    source: Value
    #: each mapping with the entry of ``ports`` that it came from
    ports: tuple[tuple[PortMapping, Value], ...] = ()
    #: (relation, service, position) of each reference to another service
    needs: tuple[tuple[str, str, Mark], ...] = ()
    #: the same for containers that external_links and network_mode refer to
    containers: tuple[tuple[str, str, Mark], ...] = ()
    #: what of ``depends_on`` may be missing (``required: false``)
    optional: frozenset[str] = field(default_factory=frozenset)


def read_service(
    name: str, at: Mark, value: Value, extra: Value | None, default_host: str, report: Report
) -> Draft:
    """One service; ``extra`` is its entry under ``x-netlab.services``."""
    if len(name) > NAME_LENGTH:
        report.add(at, f"services: the name {shown(name)} is longer than {NAME_LENGTH} characters")
    if not name.strip("."):
        report.add(at, f"services: {shown(name)} is the name of a folder, so no node can have it")
    mode = _mode(name, value, report)
    attachments = () if mode is not None else _attachments(name, value, report)
    mappings = read_ports(value.get("ports"), f"services.{name}.ports", report)
    ports = tuple(mapping for mapping, _ in mappings)
    expose = read_exposed(value.get("expose"), f"services.{name}.expose", report, warn=True)
    discarded: tuple[PortMapping, ...] = ()
    if mode in ("host", "none"):
        # Docker discards the published ports; the program still listens on its ports
        expose = tuple(dict.fromkeys((*expose, *(ExposedPort(p.container_port, p.protocol) for p in ports))))
        discarded, ports, mappings = ports, (), []
    depends, optional = _dependencies(value)
    implied = _implied(value)
    links = _links(value.get("links"))
    external_links = _links(value.get("external_links"))
    service = Service(
        name=name,
        position=Position(*at),
        host=_said(extra, "host") or default_host,
        image=_said(value, "image"),
        container_name=_container_name(name, value, report),
        hostname=_hostname(name, value, report),
        domainname=_said(value, "domainname"),
        uts_host=_said(value, "uts") == "host",
        network_mode=mode,
        networks=attachments,
        ports=ports,
        discarded=discarded,
        expose=expose,
        udp_routed=udp_routed(extra),
        image_ports=image_ports(_said(value, "image")),
        listen=_listen(name, extra, report),
        rules=read_rules([extra.get("rules")], report, host=False) if extra is not None else (),
        command=_command(name, extra.get("command") if extra else None, report),
        depends_on=tuple(dict.fromkeys(word for word, _ in (*depends, *implied))),
        links=tuple((target, alias) for target, alias, _ in links),
        external_links=tuple((target, alias) for target, alias, _ in external_links),
        extra_hosts=_extra_hosts(name, value.get("extra_hosts"), report),
        dns=_dns(name, value, report),
        dns_search=_texts(value, "dns_search"),
        dns_opt=_texts(value, "dns_opt"),
        sysctls=_sysctls(name, value.get("sysctls"), report),
        mac_address=_mac(f"services.{name}", value.get("mac_address"), report),
        replicas=_replicas(name, value, report),
        restart=_restart(name, value, report),
        privileged=bool((flag := value.get("privileged")) and flag.data),
        cap_add=_capabilities(value.get("cap_add")),
        cap_drop=_capabilities(value.get("cap_drop")),
        devices=_devices(value.get("devices")),
    )
    needs = [("depends on", word, mark) for word, mark in depends]
    needs += [
        ("shares something with", word, mark) for word, mark in implied if word and mode != f"service:{word}"
    ]
    needs += [("links to", target, mark) for target, _, mark in links]
    containers = [("links to", target, mark) for target, _, mark in external_links]
    kind, _, target = (mode or "").partition(":")
    if target:
        written = value.get("network_mode") or value
        (needs if kind == "service" else containers).append((SHARES, target, written.at))
    return Draft(service, value, tuple(mappings), tuple(needs), tuple(containers), optional)


def attachment_mark(draft: Draft, network: str) -> Mark:
    """Where a service says that it is on a network."""
    written = draft.source.get("networks")
    if written is None:
        return draft.source.at
    if isinstance(written.data, dict):
        return written.key_at(network)
    return next((item.at for item in written if item.text == network), written.at)


# -- the network


def _mode(name: str, value: Value, report: Report) -> str | None:
    written = value.get("network_mode")
    if written is None or not written.text:
        return None
    mode = written.text
    if value.get("networks") is not None:
        report.add(written.at, f"services.{name}: network_mode and networks cannot be combined")
    kind, colon, target = mode.partition(":")
    if colon and kind in ("service", "container"):
        if not target:
            report.add(written.at, f"services.{name}: network_mode {kind}: needs the name of a {kind}")
        return mode
    if mode == "default":
        return "bridge"
    if mode in MODES or not colon:
        return mode
    if kind in USER_MODES:
        wrong = f"netlab does not reproduce options of {kind} ({target}): write network_mode: {kind}"
        report.add(written.at, f"services.{name}: {wrong}")
        return kind
    more = hint(mode, ("service:NAME", "container:NAME"))
    report.refuse(written.at, f"services.{name}", f"network {mode} not found{more}")
    return "none"


def _attachments(name: str, value: Value, report: Report) -> tuple[Attachment, ...]:
    networks = value.get("networks")
    if networks is None or not networks.data:
        return (Attachment("default"),)
    if isinstance(networks.data, list):
        return tuple(Attachment(word) for word in dict.fromkeys(item.text for item in networks))
    return tuple(_attachment(name, key, entry, report) for key, entry in networks.pairs())


def _attachment(name: str, key: str, value: Value, report: Report) -> Attachment:
    path = f"services.{name}.networks.{key}"
    interface = value.get("interface_name")
    wrong = wrong_interface(interface.text) if interface is not None else None
    if interface is not None and wrong:
        report.add(interface.at, f"{path}: {wrong}")
    local = value.get("link_local_ips")
    for item in local or ():
        found = _address(path, item, None, report)
        if found is not None and not address(found).is_link_local:
            report.refuse(item.at, path, f"invalid link local IP address: {found}")
    options = value.get("driver_opts")
    priority, gw_priority = value.get("priority"), value.get("gw_priority")
    return Attachment(
        network=key,
        ipv4_address=_address(path, value.get("ipv4_address"), 4, report),
        ipv6_address=_address(path, value.get("ipv6_address"), 6, report),
        link_local_ips=tuple(item.text for item in local or ()),
        aliases=_texts(value, "aliases"),
        mac_address=_mac(path, value.get("mac_address"), report),
        interface_name=interface.text if interface is not None else None,
        priority=priority.number if priority is not None else 0,
        gw_priority=gw_priority.number if gw_priority is not None else 0,
        driver_opts={word: entry.text for word, entry in options.pairs()} if options is not None else {},
    )


def _address(path: str, value: Value | None, version: int | None, report: Report) -> str | None:
    if value is None or not value.text:
        return None
    try:
        found = address(value.text)
    except ValueError as error:
        report.add(value.at, f"{path}: {error}")
        return None
    if version is not None and found.version != version:
        report.add(value.at, f"{path}: {shown(value.text)} is not an IPv{version} address")
        return None
    return str(found)


def _mac(path: str, value: Value | None, report: Report) -> str | None:
    if value is None or not value.text:
        return None
    digits = re.sub(r"[:.-]", "", value.text) if _DOTTED_MAC.fullmatch(value.text) else ""
    text = ":".join(re.findall("..", digits)) or value.text  # as Go's net.ParseMAC
    wrong = wrong_mac(text)
    if wrong:
        report.add(value.at, f"{path}: {wrong}")
        return None
    return text.replace("-", ":").lower()


# -- names and relations


def _listen(name: str, extra: Value | None, report: Report) -> tuple[ExposedPort, ...] | None:
    written = extra.get("listen") if extra is not None else None
    return None if written is None else read_exposed(written, f"x-netlab.services.{name}.listen", report)


def _dependencies(value: Value) -> tuple[list[tuple[str, Mark]], frozenset[str]]:
    written = value.get("depends_on")
    if written is None:
        return [], frozenset()
    if isinstance(written.data, list):
        return list({item.text: (item.text, item.at) for item in written}.values()), frozenset()
    optional = {
        key
        for key, entry in written.pairs()
        if (required := entry.get("required")) is not None and required.data is False
    }
    return [(key, written.key_at(key)) for key, _ in written.pairs()], frozenset(optional)


def _implied(value: Value) -> list[tuple[str, Mark]]:
    """Services that Compose starts first since something of theirs is shared (compose-go's normalize.go)."""
    found: dict[str, Mark] = {}
    for key in ("network_mode", "ipc", "pid", "uts", "cgroup"):
        written = value.get(key)
        if written is not None and written.text.startswith("service:"):
            found.setdefault(written.text.removeprefix("service:"), written.at)
    for item in value.get("volumes_from") or ():
        if isinstance(item.data, str) and not item.text.startswith("container:"):
            found.setdefault(item.text.partition(":")[0], item.at)
    return list(found.items())


def _links(value: Value | None) -> list[tuple[str, str, Mark]]:
    found = {}
    for item in value or ():
        target, _, alias = item.text.partition(":")
        found[(target, alias)] = (target, alias or target, item.at)
    return list(found.values())


def _extra_hosts(name: str, value: Value | None, report: Report) -> tuple[tuple[str, str], ...]:
    """``NAME=ADDRESS``, ``NAME:ADDRESS`` or a mapping, whose values may be lists."""
    found: dict[tuple[str, str], None] = {}
    pairs: list[tuple[str, str, Mark]] = []
    if value is not None and isinstance(value.data, dict):
        for host, entry in value.pairs():
            pairs += [
                (host, item.text, item.at) for item in (entry if isinstance(entry.data, list) else [entry])
            ]
    for item in value if value is not None and isinstance(value.data, list) else ():
        host, sign, text = item.text.partition("=")
        if not sign:
            host, sign, text = item.text.partition(":")
        if not sign or not host:
            report.add(item.at, f"services.{name}.extra_hosts: {shown(item.text)} is not NAME=ADDRESS")
            continue
        pairs.append((host, text, item.at))
    for host, text, at in pairs:
        bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        if bare != "host-gateway":
            try:
                bare = str(address(bare))
            except ValueError as error:
                report.add(at, f"services.{name}.extra_hosts: {error}, nor host-gateway")
                continue
        found[(host.strip(), bare)] = None
    return tuple(found)


def _container_name(name: str, value: Value, report: Report) -> str | None:
    written = value.get("container_name")
    if written is None or not written.text:
        return None
    if not _CONTAINER_NAME.fullmatch(written.text):
        report.add(written.at, f"services.{name}: {shown(written.text)} is not a valid container name")
        return None
    return written.text


def _replicas(name: str, value: Value, report: Report) -> int:
    scale = value.get("scale")
    deploy = value.get("deploy")
    replicas = deploy.get("replicas") if deploy is not None else None
    if scale is not None and replicas is not None and scale.number != replicas.number:
        report.add(scale.at, f"services.{name}: scale and deploy.replicas give different numbers")
    chosen = scale if scale is not None else replicas
    number = chosen.number if chosen is not None else 1
    if number > 1 and chosen is not None and value.get("container_name") is not None:
        report.add(chosen.at, f"services.{name}: {number} containers cannot share one container_name")
    return number


def _restart(name: str, value: Value, report: Report) -> RestartPolicy:
    """``restart``, or else ``deploy.restart_policy`` (Compose's getRestartPolicy)."""
    written, known, path = value.get("restart"), RESTART, "restart"
    word = "" if written is None else written.text.partition(":")[0]
    if written is not None and word == "false":  # an unquoted no, of YAML 1.1
        return "no"
    if not word:
        deploy = value.get("deploy")
        policy = deploy.get("restart_policy") if deploy is not None else None
        if policy is None:
            return "no"
        written, known, path = policy.get("condition"), CONDITIONS, "deploy.restart_policy.condition"
        word = written.text if written is not None else ""
    if word not in known:
        assert written is not None
        words = ", ".join(filter(None, known))
        report.add(
            written.at,
            f"services.{name}: {path} cannot be {shown(written.text)}{hint(word, known)}; it is {words}",
        )
        return "no"
    return known[word]


# -- the rest


def _dns(name: str, value: Value, report: Report) -> tuple[str, ...]:
    written = value.get("dns")
    items = list(written) if written is not None and isinstance(written.data, list) else [written]
    for item in items:
        if item is not None:
            _address(f"services.{name}.dns", item, None, report)
    return _texts(value, "dns")


def _command(name: str, value: Value | None, report: Report) -> tuple[str, ...]:
    """An argument vector; a string is split as a shell would, and runs without one."""
    if value is None:
        return ()
    if isinstance(value.data, list):
        return tuple(item.text for item in value)
    try:
        words = tuple(shlex.split(value.text))
    except ValueError as error:
        report.add(value.at, f"x-netlab.services.{name}.command: {str(error).lower()}")
        return ()
    if not words:
        report.add(value.at, f"x-netlab.services.{name}.command is empty")
    return words


def _sysctls(name: str, value: Value | None, report: Report) -> dict[str, str]:
    """Those below ``net.``, with dots: no other touches the network."""
    found: dict[str, str] = {}
    places: dict[str, Mark] = {}
    if value is not None and isinstance(value.data, dict):
        found = {key: entry.text for key, entry in value.pairs()}
        places = {key: value.key_at(key) for key in found}
    for item in value if value is not None and isinstance(value.data, list) else ():
        key, sign, text = item.text.partition("=")
        if not sign:
            report.add(item.at, f"services.{name}.sysctls: {shown(item.text)} is not KEY=VALUE")
        found[key.strip()] = text.strip()
        places[key.strip()] = item.at
    kept: dict[str, str] = {}
    for written, text in found.items():
        key = dotted(written)
        if not key.startswith("net."):
            continue
        kept[key] = text
        wrong = wrong_sysctl(key, text)
        if wrong:
            report.add(places[written], f"services.{name}.sysctls: {wrong}")
    return kept


def dotted(key: str) -> str:
    """A sysctl's name with dots; its first dot or slash says which of them separates its parts."""
    sign = re.search("[./]", key)
    return key.translate(str.maketrans("./", "/.")) if sign is not None and sign[0] == "/" else key


def _capabilities(value: Value | None) -> tuple[str, ...]:
    """Without ``CAP_``, in capitals."""
    words = [_CAPABILITY.fullmatch(item.text) for item in value or ()]
    return tuple(dict.fromkeys(word[1].upper() for word in words if word))


def _devices(value: Value | None) -> tuple[str, ...]:
    """Where they are in the container: ``SOURCE[:TARGET[:PERMISSIONS]]``, or a mapping."""
    found = []
    for item in value or ():
        if isinstance(item.data, dict):
            place = item.get("target") or item.get("source")
            found.append(place.text if place is not None and isinstance(place.data, str) else "")
        elif isinstance(item.data, str):
            source, _, rest = item.text.partition(":")
            found.append(rest.partition(":")[0] or source)
    return tuple(dict.fromkeys(filter(None, found)))


def _hostname(name: str, value: Value, report: Report) -> str | None:
    """What sethostname(2) takes, on one line of /etc/hosts."""
    text = _said(value, "hostname")
    if text is None or (text.isprintable() and len(text.encode()) <= HOSTNAME_LENGTH):
        return text
    report.add(
        (value.get("hostname") or value).at,
        f"services.{name}: {shown(text)} is not a host name: "
        f"it is printable and has up to {HOSTNAME_LENGTH} bytes",
    )
    return None


def _said(value: Value | None, key: str) -> str | None:
    found = value.get(key) if value is not None else None
    return found.text if found is not None and found.text else None


def _texts(value: Value, key: str) -> tuple[str, ...]:
    found = value.get(key)
    if found is None:
        return ()
    if isinstance(found.data, list):
        return tuple(dict.fromkeys(item.text for item in found))
    return (found.text,) if found.text else ()
