"""What Docker and Compose refuse of a service that netlab alone would take, in their own words.

Seen with Compose 2.26.1 and 2.40.3 on Docker 20.10.24, 26.1.5 and 28.5.2; ``tests/conformance/refusals.toml``
has each with the daemon's words. What depends on the engine's version says so.
"""

from __future__ import annotations

import re

from netlab.model.version import engine_version
from netlab.scenario.assemble import Parts
from netlab.scenario.services import Draft, dotted
from netlab.scenario.tree import Mark, Report, Value

_LINKS = "can't be used with links. This would result in undefined behavior"
_SHARED = f"conflicting options: container type network {_LINKS}"
_HOST_LINKS = f"conflicting options: host type networking {_LINKS}"
_MAC = "conflicting options: mac-address and the network mode"
#: keys that a container in another one's network namespace cannot have
SHARER: dict[str, str] = {
    "hostname": "conflicting options: hostname and the network mode",
    "links": _SHARED,
    "external_links": _SHARED,
    "dns": "conflicting options: dns and the network mode",
    "extra_hosts": "conflicting options: custom host-to-IP mapping and the network mode",
    "ports": "conflicting options: port publishing and the container type network mode",
    "expose": "conflicting options: port exposing and the container type network mode",
}
#: keys that a container in the host's network namespace cannot have
HOST: dict[str, str] = {"links": _HOST_LINKS, "external_links": _HOST_LINKS}
#: the sysctls of an IPC namespace (runc, libcontainer/configs/validate)
_IPC = re.compile(r"kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)\Z|fs\.mqueue\.")
#: a release of an engine: (20, 10, 24)
Release = tuple[int, ...]
#: the version of a name that is not a Docker version: another engine, or a mistake that was reported
_NEWEST: Release = (999,)


def release(engine: str) -> Release:
    """The version that an engine's name means: ``docker-20.10`` as (20, 10, 24)."""
    try:
        version = engine_version(engine).version
    except ValueError:
        return _NEWEST
    return (version.major, version.minor, version.patch)


def check_refusals(parts: Parts, report: Report) -> None:
    """Report everything in services that Docker refuses."""
    engines = {host.name: host.engine for host in parts.hosts}
    modes = {draft.service.name: draft.service.network_mode for draft in parts.drafts}
    for draft in parts.drafts:
        if draft.service.replicas:
            since = release(engines.get(draft.service.host, "docker"))
            _mode(draft, since, report)
            _namespaces(draft, modes, report)
            _endpoints(draft, since, report)


def _mode(draft: Draft, since: Release, report: Report) -> None:
    mode = draft.service.network_mode or ""
    shares = mode.startswith(("service:", "container:"))
    conflicts = SHARER if shares else HOST if mode == "host" else {}
    if conflicts and since < (25,):  # from API 1.44 on, Compose leaves the address to the endpoint
        conflicts = {**conflicts, "mac_address": _MAC}
    for key, reason in conflicts.items():
        _refuse(draft, key, reason, report)
    uts = draft.source.get("uts")
    if uts is not None and uts.text == "host":
        _refuse(draft, "hostname", "conflicting options: hostname and the UTS mode", report)
        reason = 'sysctl "kernel.domainname" is not in a separate kernel namespace'
        _refuse(draft, "domainname", reason, report)


def _refuse(draft: Draft, key: str, reason: str, report: Report) -> None:
    value = draft.source.get(key)
    if value is not None and value.data:
        report.refuse(draft.source.key_at(key), f"services.{draft.service.name}", reason)


# -- sysctls


def _namespaces(draft: Draft, modes: dict[str, str | None], report: Report) -> None:
    """Refuse sysctls that do not exist in a container's own namespaces, as runc does."""
    ipc = draft.source.get("ipc")
    for key, mark in _sysctls(draft.source.get("sysctls")):
        wrong = _sysctl(
            key, _in_host(draft.service.network_mode, modes), ipc is not None and ipc.text == "host"
        )
        if wrong:
            report.refuse(mark, f"services.{draft.service.name}", wrong)


def _in_host(mode: str | None, modes: dict[str, str | None]) -> bool:
    """Whether a service in this mode is in the host's network namespace, its own or another's."""
    for _ in range(len(modes) + 1):
        if mode is None or not mode.startswith("service:"):
            break
        mode = modes.get(mode.removeprefix("service:"))
    return mode == "host"


def _sysctls(value: Value | None) -> list[tuple[str, Mark]]:
    if value is None:
        return []
    if isinstance(value.data, dict):
        return [(dotted(key), value.key_at(key)) for key, _ in value.pairs()]
    pairs = ((item.text.partition("="), item.at) for item in value)
    return [(dotted(key.strip()), at) for (key, sign, _), at in pairs if sign]


def _sysctl(key: str, in_host: bool, host_ipc: bool) -> str | None:
    if key.startswith("net."):
        return f'sysctl "{key}" not allowed in host network namespace' if in_host else None
    if _IPC.match(key):
        return f'sysctl "{key}" is not allowed in the hosts ipc namespace' if host_ipc else None
    if key == "kernel.domainname":
        return None
    if key == "kernel.hostname":
        return 'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field'
    return f'sysctl "{key}" is not in a separate kernel namespace'


# -- endpoints


def _endpoints(draft: Draft, since: Release, report: Report) -> None:
    written = draft.source.get("networks")
    taken: dict[str, str] = {}
    for attachment in draft.service.networks:
        entry = written.get(attachment.network) if written is not None else None
        if entry is None:
            continue
        where = f"services.{draft.service.name}.networks.{attachment.network}"
        if attachment.mac_address and since < (25,):
            reason = '"specify mac-address per network" requires API version 1.44'
            report.refuse(entry.key_at("mac_address"), where, reason, by="Compose")
        name, at = attachment.interface_name, entry.key_at("interface_name")
        if name is None:
            continue
        if since < (28, 1):
            report.refuse(at, where, "interface_name requires Docker Engine v28.1 or later", by="Compose")
        first = taken.setdefault(name, attachment.network)
        if name == "lo" or first != attachment.network:
            why = "" if name == "lo" else f" (networks.{first} has it)"
            report.refuse(at, where, f'error renaming interface to "{name}": file exists{why}')
    own = draft.service.mac_address
    for attachment in draft.service.networks if own else ():
        if attachment.mac_address not in (None, own):
            reason = (
                f"the service-level mac_address should have the same value as network {attachment.network}"
            )
            report.refuse(
                draft.source.key_at("mac_address"), f"services.{draft.service.name}", reason, by="Compose"
            )
