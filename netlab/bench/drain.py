"""Wait until the kernel has taken down every released network namespace.

It does so in the background (``cleanup_net``), and a new namespace queues after the old ones: a benchmark
that does not wait measures the previous one.
"""

from __future__ import annotations

import os
import select

from netlab.kernel import netns
from netlab.kernel.netlink import dump, message
from netlab.kernel.netlink.message import LinkEnd
from netlab.kernel.netlink.socket import RTNLGRP_LINK, RouteSocket
from netlab.model.errors import LabError

#: A thousand namespaces take 0.3 s; this is for an overloaded machine.
_LIMIT = 120.0
_INDEX = 2


class Witness:
    """A link into a new namespace: when it is gone, everything that was released before it is gone, too.

    The kernel takes down dead namespaces in order, in one queue.
    """

    def __init__(self) -> None:
        self._fds: list[int] = []
        with netns.returning():
            for _ in range(2):
                netns.unshare()
                self._fds.append(netns.current())
            netns.enter(self._fds[0])
            self._socket = RouteSocket()
        near, far = LinkEnd("witness0", _INDEX, None, 1500), LinkEnd("witness1", _INDEX, None, 1500)
        self._socket.send([message.veth(near, far, self._fds[1])])
        self._socket.join(RTNLGRP_LINK)

    def wait(self) -> None:
        """Let go of the link, and return when the kernel has removed it; raises LabError after minutes."""
        os.close(self._fds.pop())
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        while not self._gone():
            if not poll.poll(_LIMIT * 1000):
                raise LabError("the kernel did not take down a network namespace within two minutes")
            self._socket.discard()
        self._socket.close()
        os.close(self._fds.pop())

    def _gone(self) -> bool:
        return all(link.index != _INDEX for link in dump.links(self._socket))


def drain() -> None:
    """Return once every released namespace is gone."""
    Witness().wait()


def settle() -> None:
    """Return once no closed socket holds its namespace any more.

    The kernel frees a netlink socket after an RCU grace period. When it has taken down a namespace it waits
    for all such work (rcu_barrier in cleanup_net, net/core/net_namespace.c), after the removal of its links.
    """
    drain()
    drain()
