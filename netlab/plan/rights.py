"""What a service's ``command:`` program may do, and what it asks for in vain.

``cap_add``, ``cap_drop``, ``privileged`` and ``devices`` mean what they mean to Docker, as far as the sandbox
allows: it gives a program the network of its node and nothing of the machine.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model.capabilities import DEFAULT, EXTRA, NUMBERS
from netlab.model.plan import Rights
from netlab.model.scenario import Service

TUN = "/dev/net/tun"
_ALL = "ALL"


def rights_of(service: Service) -> Rights:
    """What the program of a service may do in a network namespace of its own."""
    if service.privileged:
        return Rights(tuple(NUMBERS), sysctls=True, tun=True)
    dropped = NUMBERS if _ALL in service.cap_drop else service.cap_drop
    added = NUMBERS if _ALL in service.cap_add else service.cap_add
    had = [name for name in DEFAULT if name not in dropped]
    kept = {*had, *(name for name in added if name not in service.cap_drop)}
    return Rights(tuple(name for name in NUMBERS if name in kept), tun=TUN in service.devices)


def refused_rights(service: Service, *, in_host_network: bool) -> Iterator[str]:
    """What the program of a service asks for and does not get, as notes."""
    if not service.command:
        return
    where = "for its command under x-netlab.services"
    if in_host_network:
        asked = [name for name in service.cap_add if name not in DEFAULT]
        if asked or service.privileged:
            what = "privileged" if service.privileged else f"cap_add {', '.join(asked)}"
            yield f"{what} has no effect {where}: in the host's network, it may bind ports and send, no more"
        return
    unknown = [name for name in service.cap_add if name not in NUMBERS and name != _ALL]
    if unknown:
        most = f"beyond Docker's default, it can have {' and '.join(EXTRA)}"
        yield f"cap_add {', '.join(unknown)} has no effect {where}: {most}"
    if service.privileged:
        allowed = f"{' and '.join(EXTRA)}, {TUN} and /proc/sys/net"
        yield f"privileged {where} means {allowed}: nothing of the machine"
    others = [device for device in service.devices if device != TUN]
    if others:
        yield f"devices: {', '.join(others)} have no effect {where}, only {TUN} has"
