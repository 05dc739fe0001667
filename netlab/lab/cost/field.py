"""The program of a load: a process of the lab that receives in some of its namespaces and sends from others.

It makes two namespaces of its own with one veth pair between them, the direct way, and takes requests over a
channel::

    → {"load": "connections", "from": NAMESPACE, "address": …, "port": …, "seconds": …, "proxies": [PID, …]}
    ← {"sample": {"count": …, "seconds": …, "cpu": …, "proxy": …}}
    → {"memory": NODE, "mode": …, "listeners": […], "ports": …}
    ← {"octets": …}

With ``"tool": PATH``, wrk or iperf3 makes the load. A load that the other side refuses, resets or does not
answer is an answer, too: ``{"broken": WHY}``. The processor time is that of this process, of the tool, of the
receiver and of the proxies.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from netlab.kernel import netns
from netlab.kernel.channel import Channel, Disconnected, Message
from netlab.kernel.netlink import message as m
from netlab.kernel.netlink.message import LinkEnd
from netlab.kernel.netlink.socket import RouteSocket
from netlab.lab import codec
from netlab.lab.cost import receiver, tools
from netlab.lab.cost.loads import LOADS, PIECE
from netlab.lab.cost.usage import cpu_seconds, private_bytes, zeros_of
from netlab.lab.services.proxies import Proxies
from netlab.model.error_messages import to_message
from netlab.model.errors import LabError
from netlab.model.family import Family
from netlab.model.plan import Listener

#: The name of the direct way's client; no node has it.
DIRECT = "-direct"
#: Addresses that RFC 2544 and RFC 5180 set aside for benchmarks.
DIRECT_ADDRESSES = {"ipv4": ("198.18.0.1", "198.18.0.2"), "ipv6": ("2001:2::1", "2001:2::2")}
DIRECT_PORT = 7000
_LENGTHS = {"ipv4": 24, "ipv6": 64}
#: Congestion controls that send as fast as the path takes it.
UNPACED = ("cubic", "reno")
_CONTROL = "/proc/sys/net/ipv4/tcp_congestion_control"
#: Ports from here on are the extra ones whose memory is measured.
SPARE = 40000


def main(arguments: list[str], fds: list[int], namespaces: dict[str, int]) -> int:
    """Serve the socket ``fds[0]`` until it ends. ``arguments`` are not used."""
    del arguments
    with socket.socket(fileno=fds[0]) as sock:
        channel = Channel(sock)
        try:
            _serve(channel, namespaces)
        except Disconnected:
            return 0  # nobody is left to answer
    return 0


def _serve(channel: Channel, namespaces: dict[str, int]) -> None:
    message, _ = channel.receive()
    try:
        field = LoadField(namespaces, message["receive"], direct=message["direct"])
    except Exception as error:
        channel.send(to_message(error, "preparing the load"))
        return
    channel.send({"ready": True, "congestion": field.congestion})
    while True:
        message, _ = channel.receive()
        try:
            channel.send(field.memory(message) if "memory" in message else field.load(message))
        except Disconnected:
            raise
        except Exception as error:
            channel.send(to_message(error, "making the load"))


class LoadField:
    """The namespaces, the receiver in some of them, and the loads."""

    def __init__(
        self, namespaces: dict[str, int], wanted: Sequence[tuple[str, str, str, int]], *, direct: bool
    ) -> None:
        """``wanted``: (namespace, node, service, port) of each port on which the receiver is to listen.

        Raises OSError, LabError, MachineError.
        """
        self._namespaces = namespaces
        self._zeros = zeros_of(PIECE)
        #: where the receiver listens: (namespace, node, service, port)
        self._places = [(namespaces[space], node, service, port) for space, node, service, port in wanted]
        if direct:
            self._places.append((self._direct(), "direct", "direct", DIRECT_PORT))
        self.congestion = "/".join(sorted({_unpaced(fd) for fd in namespaces.values()}))
        self._receive()

    def _receive(self) -> None:
        self._receiver = receiver.start([_port(*place) for place in self._places])

    def _direct(self) -> int:
        """Two namespaces with one veth pair between them; the second."""
        client, server = netns.create(), netns.create()
        self._namespaces[DIRECT] = client
        with netns.entered(client), RouteSocket(DIRECT) as route:
            ends = [LinkEnd(f"veth{number}", number, None, 1500) for number in (2, 3)]
            route.send([m.veth(ends[0], ends[1], server)])
        for number, fd in enumerate((client, server)):
            with netns.entered(fd), RouteSocket(DIRECT) as route:
                index = number + 2
                route.send([m.raise_link(1, "lo"), m.raise_link(index, "veth")])
                route.send(
                    [
                        m.add_address(index, "veth", f"{ends[number]}/{_LENGTHS[family]}")
                        for family, ends in DIRECT_ADDRESSES.items()
                    ]
                )
        _unpaced(server)
        return server

    def load(self, message: Message) -> Message:
        """Make one load."""
        proxies = message["proxies"]
        with self._ports_for(message), netns.entered(self._namespaces[message["from"]]):
            before, own = self._used(proxies), time.process_time() + tools.spent()
            try:
                found = self._loaded(message)
            except OSError as error:
                return {"broken": error.strerror or str(error)}
            after = self._used(proxies)
        own = time.process_time() + tools.spent() - own
        proxy = after[1] - before[1]
        if proxies:
            found["proxy"] = proxy
        return {"sample": {**found, "cpu": own + after[0] - before[0] + proxy}}

    def _loaded(self, message: Message) -> dict[str, float]:
        load, address, port = message["load"], message["address"], message["port"]
        if "tool" in message:
            return tools.run(message["tool"], load, address, port, message["seconds"])
        return LOADS[load](Family.of(address).af, address, port, message["seconds"], self._zeros)

    @contextlib.contextmanager
    def _ports_for(self, message: Message) -> Iterator[None]:
        """Give iperf3's server, which has a protocol of its own, the receiver's ports while it is asked."""
        if "tool" not in message or message["load"] not in tools.LOADS_OF["iperf3"]:
            yield
            return
        os.kill(self._receiver, signal.SIGKILL)
        os.waitpid(self._receiver, 0)
        self._receiver = 0
        try:
            with tools.serving(message["tool"], [(place[0], place[3]) for place in self._places]):
                yield
        finally:
            self._receive()

    def _used(self, proxies: Sequence[int]) -> tuple[float, float]:
        """CPU seconds of the receiver, if it runs, and of the proxies."""
        return cpu_seconds([self._receiver] if self._receiver else []), cpu_seconds(proxies)

    def memory(self, message: Message) -> Message:
        """The private memory of one more published port of a host."""
        listeners: list[Listener] = list(codec.decode(message["listeners"]))
        count = message["ports"]
        proxies = Proxies(self._namespaces[message["memory"]], message["mode"])
        try:
            proxies.add(*_moved(listeners, SPARE))
            before = private_bytes(proxies.pids())
            proxies.add(*(one for extra in range(1, count + 1) for one in _moved(listeners, SPARE + extra)))
            return {"octets": (private_bytes(proxies.pids()) - before) / count}
        finally:
            proxies.close()


def _moved(listeners: Sequence[Listener], port: int) -> list[Listener]:
    """The listeners of a published port, at another one."""
    return [
        replace(one, port=port, argv=tuple(_rewritten(one.argv, "-host-port", str(port))))
        for one in listeners
    ]


def _rewritten(argv: Sequence[str], option: str, value: str) -> list[str]:
    return [value if number and argv[number - 1] == option else word for number, word in enumerate(argv)]


def _port(namespace: int, node: str, service: str, port: int) -> receiver.LoadPort:
    with netns.entered(namespace):
        try:
            return receiver.LoadPort(receiver.listen(port), node, service)
        except OSError as error:
            raise LabError(
                f"{node}: cannot receive on port {port}: {os.strerror(error.errno or 0)}"
            ) from error


def _unpaced(namespace: int) -> str:
    """Have a namespace's connections sent without pacing; the name of its congestion control.

    BBR would bound each transfer by its estimate of the path, whatever that is.
    """
    with netns.entered(namespace), open(_CONTROL, encoding="ascii") as file:
        found = file.read().strip()
        if found in UNPACED:
            return found
        with open(_CONTROL, "w", encoding="ascii") as writable:
            writable.write("reno")  # every kernel has it, and every namespace may choose it
        return "reno"


def spec(receive: Mapping[tuple[str, int], tuple[str, str]], *, direct: bool) -> dict[str, Any]:
    """The first request: where to receive, (namespace, port) → (node, service)."""
    wanted = [[space, node, service, port] for (space, port), (node, service) in receive.items()]
    return {"receive": wanted, "direct": direct}
