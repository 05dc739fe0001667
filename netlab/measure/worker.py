"""A measuring session in a process of its own, which takes requests over a channel.

Inside a lab, the process is a child of the supervisor, so it can use the namespaces, also without root, and
ends with the lab. The other end has a :class:`RemoteSession`::

    → {"facts": …}                         ← {"ready": true}
    → {"flows": [...], "replies": false, "shape": null}
                                           ← {"journey": …}  one a flow, in order
                                           ← {"pairs": ["host", since]}  asked while measuring
    → {"pairs": [[protocol, client, asked, own, backend], …]}
                                           ← {"done": true}

Errors are messages of :mod:`netlab.model.error_messages`. The worker ends when the socket closes.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from netlab.journey.topology import Topology
from netlab.kernel.channel import MAX_LINE_BETWEEN_OURS, Channel, Disconnected, Message
from netlab.measure.harvest import Pairs, ProxyPair
from netlab.measure.session import Session
from netlab.model.error_messages import to_message
from netlab.model.errors import Unmeasured
from netlab.model.family import Family
from netlab.model.flow import Flow, Target
from netlab.model.journey import Journey
from netlab.model.shape import Shape

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProxyEnds:
    """What a userland proxy paired; see :class:`~netlab.measure.session.ProxyPair`."""

    protocol: str
    client: tuple[str, int]
    asked: tuple[str, int]
    own: tuple[str, int]
    backend: tuple[str, int]

    @classmethod
    def of(cls, protocol: str, *ends: Sequence[Any]) -> ProxyEnds:
        """From lists, as JSON has them."""
        client, asked, own, backend = ((end[0], end[1]) for end in ends)
        return cls(protocol, client, asked, own, backend)


def main(arguments: list[str], fds: list[int], namespaces: dict[str, int]) -> int:
    """Serve the socket ``fds[0]`` until it ends. ``arguments`` are not used."""
    del arguments
    with socket.socket(fileno=fds[0]) as sock:
        serve(sock, namespaces)
    return 0


def serve(sock: socket.socket, namespaces: dict[str, int]) -> None:
    """Answer one client; returns when it is gone."""
    channel = Channel(sock, MAX_LINE_BETWEEN_OURS)
    session: Session | None = None

    def pairs(node: str, since: int) -> list[ProxyPair]:
        channel.send({"pairs": [node, since]})
        answer, _ = channel.receive()
        return [ProxyEnds.of(*one) for one in answer["pairs"]]

    try:
        while True:
            message, _ = channel.receive()
            try:
                if "facts" in message:
                    if session is not None:
                        session.close()
                    facts = None if message["facts"] is None else Topology.from_json(message["facts"])
                    session = Session(namespaces, facts, hosts=message.get("hosts"), pairs=pairs)
                    channel.send({"ready": True})
                elif session is not None and "flows" in message:
                    _measure(channel, session, message)
            except Disconnected:
                raise
            except Exception as error:
                channel.send(to_message(error, "measuring"))
    except Disconnected:
        return  # the client is gone, and with it the reason to go on
    finally:
        if session is not None:
            session.close()


def _measure(channel: Channel, session: Session, message: Message) -> None:
    flows = [flow_from(one) for one in message["flows"]]

    def tell(_: int, journey: Journey) -> None:
        channel.send({"journey": journey.to_json()})

    shape = None if message["shape"] is None else shape_from(message["shape"])
    session.measure(flows, replies=message["replies"], shape=shape, tell=tell)
    channel.send({"done": True})


class RemoteSession:
    """A :class:`~netlab.measure.session.Session` at the other end of a socket; the socket becomes its own."""

    def __init__(
        self,
        sock: socket.socket,
        facts: Topology | None = None,
        *,
        hosts: Iterable[str] | None = None,
        pairs: Pairs | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """``ended`` is called once the session is closed, to release the worker."""
        self._channel = Channel(sock, MAX_LINE_BETWEEN_OURS)
        self._ended = ended
        self._pairs = pairs
        self._tell(
            {
                "facts": None if facts is None else facts.to_json(),
                "hosts": None if hosts is None else list(hosts),
            }
        )
        self._channel.answer("the measuring process", Unmeasured)

    def __enter__(self) -> RemoteSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def measure(
        self,
        flows: Sequence[Flow],
        *,
        replies: bool = False,
        shape: Shape | None = None,
        tell: Callable[[int, Journey], None] | None = None,
    ) -> list[Journey]:
        """As :meth:`netlab.measure.session.Session.measure`."""
        self._tell(
            {
                "flows": [flow_json(flow) for flow in flows],
                "replies": replies,
                "shape": None if shape is None else shape_json(shape),
            }
        )
        journeys: list[Journey] = []
        while "done" not in (answer := self._channel.answer("the measuring process", Unmeasured)):
            if "pairs" in answer:
                node, since = answer["pairs"]
                found = self._pairs(node, since) if self._pairs is not None else ()
                ends = [[p.protocol, p.client, p.asked, p.own, p.backend] for p in found]
                self._tell({"pairs": ends})
                continue
            journey = Journey.from_json(answer["journey"])
            if tell is not None:
                tell(len(journeys), journey)
            journeys.append(journey)
        return journeys

    def _tell(self, message: Message) -> None:
        try:
            self._channel.send(message)
        except Disconnected:
            raise Unmeasured("the measuring process ended before it was asked") from None

    def close(self) -> None:
        """End the session; idempotent."""
        with contextlib.suppress(OSError):  # the worker ended first
            self._channel.sock.shutdown(socket.SHUT_RDWR)  # a forked child may have the socket too
        self._channel.close()
        self._ended()


def flow_json(flow: Flow) -> Json:
    """A flow as JSON."""
    return {
        "origin": flow.origin,
        "target": [flow.target.name, flow.target.address, flow.target.network, flow.target.scope],
        "family": int(flow.family),
        "protocol": flow.protocol,
        "port": flow.port,
        "address": flow.address,
        "via": flow.via,
        "source": flow.source,
        "source_port": flow.source_port,
        "size": flow.size,
    }


def flow_from(data: Json) -> Flow:
    """The inverse of :func:`flow_json`."""
    rest = {key: value for key, value in data.items() if key not in ("target", "family")}
    return Flow(target=Target(*data["target"]), family=Family(data["family"]), **rest)


def shape_json(shape: Shape) -> Json:
    """A shape as JSON; octets in hexadecimal."""
    found = {field.name: getattr(shape, field.name) for field in fields(shape)}
    return {key: value.hex() if isinstance(value, bytes) else value for key, value in found.items()}


def shape_from(data: Json) -> Shape:
    """The inverse of :func:`shape_json`."""
    return Shape(**{**data, "family": Family(data["family"]), "payload": bytes.fromhex(data["payload"])})
