"""What else may decide about a namespace's packets, invisibly to nftables' trace."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Final

from netlab.kernel import netns as namespaces
from netlab.kernel.netlink import message as m
from netlab.kernel.netlink.message import attributes
from netlab.kernel.netlink.socket import RouteSocket
from netlab.model.family import Family

_IFINFO = Struct("=BxHiII")
_TCMSG = Struct("=BxxxiIII")
_RTM_GETQDISC: Final = 38
_TCA_KIND: Final = 1
_IFLA_XDP, _IFLA_XDP_ATTACHED = 43, 2
#: default queues of Linux devices, which drop packets only when they are full
_ORDINARY: Final = frozenset(("noqueue", "noop", "pfifo_fast", "fq_codel", "fq", "mq", "pfifo"))
_LEGACY: Final = (("ip_tables_names", "iptables-legacy"), ("ip6_tables_names", "ip6tables-legacy"))
_EBTABLES: Final = ("ebtable_filter", "ebtable_nat", "ebtable_broute")


def beside(netns: int) -> list[str]:
    """What there is, in words: ``iptables-legacy rules in filter``, ``a tc queue (clsact) on ext0``."""
    with namespaces.entered(netns):
        return [*_legacy(), *_devices()]


def legacy(netns: int, family: Family) -> list[str]:
    """Only the rules of iptables-legacy or ip6tables-legacy, and only those that can be read."""
    tool = "iptables-legacy" if family is Family.IPV4 else "ip6tables-legacy"
    with namespaces.entered(netns):
        return [one for one in _legacy() if one.startswith(f"{tool} rules in ")]


def _legacy() -> Iterator[str]:
    """Rules of iptables-legacy. Empty tables stay listed, so the rules are checked if possible."""
    for name, tool in _LEGACY:
        try:
            tables = Path("/proc/thread-self/net", name).read_text().split()
        except FileNotFoundError:  # the kernel was built without
            continue
        except PermissionError:  # without root, a program's namespace is another user namespace's
            yield f"{tool} tables that cannot be read"
            continue
        full = [table for table in tables if _has_rules(tool, table)]
        if full:
            yield f"{tool} rules in {', '.join(sorted(full))}"
    if any(Path("/sys/module", name).exists() for name in _EBTABLES):
        yield "tables of ebtables-legacy"


def _has_rules(tool: str, table: str) -> bool:
    save = shutil.which(f"{tool}-save")
    if save is None:
        return True
    run = subprocess.run([save, "-t", table], check=False, capture_output=True, text=True)
    lines = run.stdout.splitlines()
    return run.returncode != 0 or any(
        line.startswith("-A") or (line.startswith(":") and " DROP " in line) for line in lines
    )


def _devices() -> Iterator[str]:
    with RouteSocket() as sock:
        names = {}
        for data in sock.dump(m.RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0)):
            values = attributes(data, _IFINFO.size)
            name = values[m.IFLA_IFNAME].rstrip(b"\0").decode()
            names[_IFINFO.unpack_from(data)[2]] = name
            if attributes(values.get(_IFLA_XDP, b""), 0).get(_IFLA_XDP_ATTACHED, b"\0") != b"\0":
                yield f"an XDP program on {name}"
        for data in sock.dump(_RTM_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0)):
            kind = attributes(data, _TCMSG.size).get(_TCA_KIND, b"").rstrip(b"\0").decode()
            if kind not in _ORDINARY:
                index = _TCMSG.unpack_from(data)[1]
                yield f"a tc queue ({kind}) on {names.get(index, index)}"
