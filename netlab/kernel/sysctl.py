"""Read and write /proc/sys/net of the calling thread's network namespace.

What Linux does itself (net/ipv4/devinet.c, net/ipv6/addrconf.c): keys of ``conf/default`` are the initial
values of later interfaces; writing ``ip_forward`` or ``conf/all/forwarding`` sets ``default`` and all
existing interfaces, and sets ``conf/all/accept_redirects`` to the opposite; writing IPv6's
``conf/all/{forwarding,disable_ipv6}`` sets ``default`` and all interfaces. So keys of ``all`` and ``default``
are written before links exist, and keys of an interface once it exists.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterable
from itertools import repeat

from netlab.kernel import libc, userns
from netlab.model.errors import LabError, MachineError, UsageError

PROC = "/proc/"
ROOT = f"{PROC}sys/"
_CONGESTION = "net.ipv4.tcp_congestion_control"
_KNOWN_CONGESTION = "net.ipv4.tcp_available_congestion_control"
_GROUPS = "net.ipv4.ping_group_range"

#: A new namespace inherits its IPv4 conf/{all,default} from the machine's first one (devconf_inherit_init_net
#: 0 and 1), so on a Docker host it forwards from the start. These are the kernel's compiled values, 0 where
#: neither table has the key (ipv4_devconf and ipv4_devconf_dflt, net/ipv4/devinet.c).
_COMPILED = {"accept_redirects": "1", "send_redirects": "1", "secure_redirects": "1", "shared_media": "1"}
_COMPILED_DEFAULT = {**_COMPILED, "accept_source_route": "1"}
_INHERITED = (
    "accept_local", "accept_redirects", "accept_source_route", "arp_accept", "arp_announce", "arp_filter",
    "arp_ignore", "arp_notify", "disable_policy", "disable_xfrm", "drop_gratuitous_arp",
    "drop_unicast_in_l2_multicast", "forwarding", "ignore_routes_with_linkdown", "log_martians", "proxy_arp",
    "proxy_arp_pvlan", "route_localnet", "rp_filter", "secure_redirects", "send_redirects", "shared_media",
    "src_valid_mark",
)  # fmt: skip

#: namespaces per instance of /proc: creating one costs as much time as it saves for fifteen namespaces
_ENTRIES = 64

#: Without it the kernel's own fe80:: addresses are tentative for 1.8 s. ``all`` is 0 anyway.
NO_DUPLICATE_DETECTION = ("net.ipv6.conf.default.accept_dad", "0")

#: Which ICMP errors the kernel limits: none, because a missing error looks like a drop. An empty mask turns
#: off the limits per destination and per namespace (icmp_msgs_per_sec), in net/ipv4/icmp.c and
#: net/ipv6/icmp.c.
_UNLIMITED_ERRORS = (("net.ipv4.icmp_ratemask", "0"), ("net.ipv6.icmp.ratemask", "0"))
_LIMITS = {
    "net.ipv4.icmp_ratemask": "net.ipv4.icmp_ratelimit",
    "net.ipv6.icmp.ratemask": "net.ipv6.icmp.ratelimit",
}
#: of both families
_LIMITS_OF_ALL = ("net.ipv4.icmp_msgs_per_sec", "net.ipv4.icmp_msgs_burst")


#: there if br_netfilter is loaded, in every namespace
_BRIDGED = "/proc/sys/net/bridge/bridge-nf-call-iptables"


def demand_br_netfilter(rules: str) -> None:
    """Raise MachineError if the kernel would load br_netfilter for these rules (net/netfilter/xt_physdev.c).

    The module makes the frames of every bridge of the machine go through its iptables rules.
    """
    if "physdev" in rules and not os.access(_BRIDGED, os.F_OK):
        raise MachineError("the match physdev: br_netfilter is not loaded; run: sudo modprobe br_netfilter")


def path(key: str) -> str:
    """The file of a dotted key, in which ``/`` means a dot inside a name (sysctl(8)).

    Raises UsageError for a key that is not below ``net`` or is malformed.
    """
    parts = [part.replace("/", ".") for part in key.split(".")]
    if parts[0] != "net" or len(parts) < 2:
        raise UsageError(f"sysctl {key}: only keys below net belong to a network namespace")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise UsageError(f"sysctl {key}: not a key")
    return ROOT + "/".join(parts)


def interface_of(key: str) -> str | None:
    """The interface that a key names, None if it names none (``lo``, which always exists, included)."""
    parts = key.split(".")
    if len(parts) == 5 and parts[2] in ("conf", "neigh") and parts[3] not in ("all", "default", "lo"):
        return parts[3].replace("/", ".")
    return None


def read(key: str) -> str:
    """The value, without the newline; raises LabError, UsageError."""
    try:
        fd = os.open(path(key), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, 65536).decode().strip()
        finally:
            os.close(fd)
    except OSError as error:
        raise _refused(key, None, error) from error


def write(key: str, value: str, proc: int | None = None) -> None:
    """Set a key in the calling thread's namespace, through the machine's /proc or another instance of it.

    Raises UsageError for a key that is not per namespace, MachineError if the kernel lacks the feature,
    LabError if it refuses the value.
    """
    try:
        if key == _CONGESTION and value not in read(_KNOWN_CONGESTION).split():
            # for root the kernel would load a module of that name, for the whole machine
            raise MachineError(f"setting sysctl {key} to {value}: this kernel has not loaded tcp_{value}")
        name = path(key) if proc is None else path(key)[len(PROC) :]
        fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno == errno.ENOENT and value == "0" and key.startswith("net.bridge.bridge-nf-call-"):
            return  # without br_netfilter, bridged frames bypass the rules, which is what 0 means
        if error.errno == errno.EINVAL and key == _GROUPS and (most := userns.ids()) < int(value.split()[1]):
            write(key, f"0 {most - 1}", proc)  # every group that there is: a user namespace may have but one
            return
        raise _refused(key, value, error) from error


def write_all(settings: Iterable[tuple[str, str]], proc: int | None = None) -> None:
    """:func:`write` for each (key, value)."""
    for key, value in settings:
        write(key, value, proc)


def unlimited_errors(settings: Iterable[tuple[str, str]], *, ipv6: bool) -> list[tuple[str, str]]:
    """The sysctls that allow all ICMP errors, except for a family whose limits are in a scenario's
    ``settings``.
    """
    own = {key for key, _ in settings}
    return [
        (key, value)
        for key, value in _UNLIMITED_ERRORS
        if (ipv6 or not key.startswith("net.ipv6.")) and own.isdisjoint((key, _LIMITS[key], *_LIMITS_OF_ALL))
    ]


def instances() -> Generator[int | None, None, None]:
    """The instance of /proc to use for each of many namespaces: a new one every few namespaces.

    The entries /proc/sys/net/ipv4 of all namespaces have the same name in the same folder, so they share one
    hash chain in the kernel's cache of names, and the first lookup for the thousandth namespace compares a
    thousand entries (proc_sys_compare, fs/proc/proc_sysctl.c): 0.25 ms. A new instance has its own names.
    """
    yield from repeat(None, _ENTRIES)
    while True:
        try:
            proc = libc.new_mount("proc")
        except OSError:  # in a container with parts of /proc covered: slower there
            yield from repeat(None)
        try:
            yield from repeat(proc, _ENTRIES)
        finally:
            os.close(proc)


def _refused(key: str, value: str | None, error: OSError) -> LabError | MachineError | UsageError:
    doing = f"reading sysctl {key}" if value is None else f"setting sysctl {key} to {value}"
    if error.errno == errno.ENOENT:
        if key.startswith("net.bridge."):
            return MachineError(f"{doing}: br_netfilter is not loaded; run: sudo modprobe br_netfilter")
        if key.startswith("net.ipv6.") and not os.access(f"{ROOT}net/ipv6", os.X_OK):
            return MachineError(f"{doing}: this kernel runs without IPv6; boot it without ipv6.disable=1")
        if key.startswith("net.netfilter."):
            return MachineError(f"{doing}: nf_conntrack is not loaded; run: sudo modprobe nf_conntrack")
        return UsageError(f"{doing}: a network namespace has no such key on this kernel")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UsageError(f"{doing}: the key is the whole machine's, not a network namespace's")
    return LabError(f"{doing}: {os.strerror(error.errno or 0)}")


def inherited() -> tuple[tuple[str, str], ...]:
    """What the calling thread's fresh namespace took over from the machine: (key, the kernel's own value).

    Writing these back makes a namespace the same on every machine. Raises LabError, MachineError.
    """
    corrections = []
    for where, compiled in (("all", _COMPILED), ("default", _COMPILED_DEFAULT)):
        for name in _INHERITED:
            key = f"net.ipv4.conf.{where}.{name}"
            fresh = compiled.get(name, "0")
            try:
                found = read(key)
            except UsageError:  # a key that this kernel does not have
                continue
            if found != fresh:
                corrections.append((key, fresh))
    # forwarding first: it changes accept_redirects
    return tuple(sorted(corrections, key=lambda item: not item[0].endswith(".forwarding")))
