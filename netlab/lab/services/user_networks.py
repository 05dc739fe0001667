"""The networks of rootless containers: what each program does, and the namespaces that it works in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from netlab.kernel import netns
from netlab.model.plan import UserNetwork
from netlab.proxy.server import Inside
from netlab.proxy.usermode.guest import Namespaces
from netlab.proxy.usermode.link import Settings

#: slirp4netns answers as a neighbour, and pings, at its own addresses; pasta is a neighbour at every address
#: but the container's, and answers no pings.
_SLIRP_OWN = ("10.0.2.2", "10.0.2.3", "fe80::2", "fe80::3", "fd00::2", "fd00::3")
#: The senders of slirp4netns's ICMP errors; pasta's come from the address that was asked.
_SLIRP_ERRORS = {4: "10.0.2.2", 6: "fe80::2"}


class Places:
    """Where the programs of one host work; ``open_namespace`` gives a descriptor of a node's namespace."""

    def __init__(
        self, open_namespace: Callable[[str], int], user_networks: Sequence[UserNetwork] = ()
    ) -> None:
        self._open = open_namespace
        self.networks: dict[tuple[str, str], UserNetwork] = {
            (one.program, one.node): one for one in user_networks
        }

    @contextmanager
    def inside(self, program: str, node: str, host: int) -> Iterator[Inside]:
        """What a program that leads to a container needs; the descriptors are closed afterwards."""
        network = self.networks.get((program, node))
        guest = self._open(node)
        try:
            frames = os.dup(guest) if network is None else self._open(network.wire)
            try:
                spaces = Namespaces(host, frames, guest, netns.enter)
                yield Inside(spaces, None if network is None else settings_of(network))
            finally:
                os.close(frames)
        finally:
            os.close(guest)


def settings_of(network: UserNetwork) -> Settings:
    """A program's habits, and the addresses of its container."""
    pasta = network.program == "pasta"
    return Settings(
        interface=network.interface,
        mac=bytes.fromhex(network.mac.replace(":", "")),
        guest_mac=bytes.fromhex(network.guest_mac.replace(":", "")),
        guests=network.addresses,
        seen_as=dict(network.seen_as),
        leads_to=dict(network.leads_to),
        unreachable=network.unreachable,
        echoes=() if pasta else _SLIRP_OWN,
        answers_for=None if pasta else _SLIRP_OWN,
        splices=pasta,
        keeps_ports=pasta,
        errors_from={} if pasta else _SLIRP_ERRORS,
        reset_always=pasta,
    )
