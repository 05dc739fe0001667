"""Create the namespaces of a layout, most of them in a thread while their links are being created.

The kernel needs 0.6 ms for a namespace and as long for a pair of links, and the two rarely wait for each
other, so two CPUs need half the time of one. The thread does nothing else: to write some settings
(disable_ipv6), the kernel tries to take the lock of links again and again while the other thread creates
links (restart_syscall in addrconf_disable_ipv6, net/ipv6/addrconf.c).
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread

from netlab.kernel import libc, netns, sysctl, userns
from netlab.kernel.netlink.socket import RouteSocket
from netlab.lab.build.layout import Space

#: With fewer namespaces, a thread saves nothing: both need the kernel's lock of links (RTNL), and spin while
#: the other has it.
_WORTH_A_THREAD = 32


class Namespaces:
    """The namespaces of a layout, each with a socket and the settings that name no interface.

    ``standing``: those that already exist; ``needed``: those that must exist before any other.
    """

    def __init__(self, spaces: Iterable[Space], standing: Mapping[str, int], needed: Container[str]) -> None:
        self.standing = standing
        #: the descriptor of each existing namespace, by name
        self.descriptors = dict(standing)
        self.sockets: dict[str, RouteSocket] = {}
        self._first: list[Space] = []
        self._others: list[Space] = []
        for space in spaces:
            alone = space.kind == "container" and not space.programs and space.name not in needed
            (self._others if alone and space.name not in standing else self._first).append(space)
        self._ipv6 = os.access("/proc/sys/net/ipv6", os.X_OK)
        self._corrections: tuple[tuple[str, str], ...] | None = None
        self._settled: set[str] = set()
        self._instances = sysctl.instances()
        #: one entry a namespace that was made; the error that ended it
        self._news: SimpleQueue[BaseException | None] = SimpleQueue()
        self._abandoned = False

    @contextmanager
    def making(self) -> Iterator[None]:
        """The first ones exist at the start of the block, others during it, all of them at its end.

        Raises OSError, MachineError. Leaves the calling thread in one of them.
        """
        self._make(self._first)
        if len(self._others) < _WORTH_A_THREAD:
            self._make(self._others)
            yield
        else:
            thread = Thread(target=self._make_others)
            thread.start()
            try:
                yield
            except BaseException:
                self._abandoned = True
                raise
            finally:
                thread.join()
        for space in (*self._first, *self._others):
            self.settle(space)
        self._instances.close()

    def settle(self, space: Space) -> None:
        """Return when a namespace exists and has its settings; raises the error if one could not be created.

        May leave the calling thread in it, if the settings required that.
        """
        while space.name not in self.sockets:
            error = self._news.get()
            if error is not None:
                raise error
        if space.name not in self._settled:
            self._settled.add(space.name)
            netns.enter(self.descriptors[space.name])
            self._write_settings(space, next(self._instances))

    def close_sockets(self) -> None:
        """The namespaces are complete."""
        for sock in self.sockets.values():
            sock.close()
        self.sockets.clear()

    def abandon(self) -> None:
        """Let go of what was made."""
        self._instances.close()
        self.close_sockets()
        for name, fd in self.descriptors.items():
            if name not in self.standing:
                os.close(fd)
        self.descriptors.clear()

    def _make_others(self) -> None:
        try:
            self._make(self._others)
        except BaseException as error:
            self._news.put(error)

    def _make(self, spaces: Iterable[Space]) -> None:
        for space in spaces:
            if self._abandoned:
                return
            self.sockets[space.name] = self._enter(space)
            self._news.put(None)

    def _enter(self, space: Space) -> RouteSocket:
        """Open a socket in the namespace, which is created if necessary, and leave the thread in it."""
        if space.name in self.standing:
            netns.enter(self.standing[space.name])
        elif space.programs:
            fd = self.descriptors[space.name] = userns.create_network()
            netns.enter(fd)
        else:
            netns.unshare()
        sock = RouteSocket(space.name)
        if space.name not in self.descriptors:
            self.descriptors[space.name] = netns.of_socket(sock.fileno())
        return sock

    def _write_settings(self, space: Space, proc: int | None) -> None:
        if space.name not in self.standing:
            if self._corrections is None:
                self._corrections = sysctl.inherited()
            sysctl.write_all(self._corrections, proc)
            sysctl.write_all(sysctl.unlimited_errors(space.sysctls, ipv6=self._ipv6), proc)
            if self._ipv6 and ("net.ipv6.conf.all.disable_ipv6", "1") not in space.sysctls:
                sysctl.write(*sysctl.NO_DUPLICATE_DETECTION, proc)
        sysctl.write_all(space.settings(of_interfaces=False), proc)


def bind_namespace(private: str, node: str, namespace: int) -> None:
    """Make a namespace known by its node's name, to everybody in the supervisor's mount namespace."""
    path = f"{private}/netns/{node}"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444))
    libc.mount(f"/proc/self/fd/{namespace}", path, "", libc.MS_BIND)
