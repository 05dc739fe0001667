"""The parameters of one listener, and their encoding as one line of the control socket."""

from __future__ import annotations

PROTOCOLS = ("tcp", "udp", "sctp")

#: Seconds until a UDP flow ends after the backend's last datagram (moby's DefaultConnTrackTimeout).
UDP_TIMEOUT = 90.0


class Spec:
    """A listener's parameters.

    ``v6only`` None is an IPv4 socket, False one dual-stack socket. ``backend`` None is a socket that is only
    held. ``passed``: dockerd binds and passes the socket, as Docker 28 and later do; since then, UDP answers
    leave from the address that the client sent to, not from the one that the routing table picks, and an ICMP
    "port unreachable" from the backend no longer ends a flow.
    """

    __slots__ = ("address", "backend", "backlog", "passed", "port", "protocol", "timeout", "v6only")

    def __init__(
        self,
        protocol: str,
        address: str,
        port: int,
        v6only: bool | None,
        backend: tuple[str, int] | None,
        backlog: int = 4096,
        passed: bool = False,
        timeout: float = UDP_TIMEOUT,
    ) -> None:
        if protocol not in PROTOCOLS:
            raise ValueError(f"unsupported protocol {protocol}")
        self.protocol = protocol
        self.address = address
        self.port = port
        self.v6only = v6only
        self.backend = backend
        self.backlog = backlog
        self.passed = passed
        self.timeout = timeout

    @property
    def key(self) -> str:
        """The key that identifies a listener on a host: ``tcp 0.0.0.0 80``."""
        return f"{self.protocol} {self.address} {self.port}"

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}/{self.protocol}"

    def encode(self) -> str:
        """One line of words."""
        v6only = "-" if self.v6only is None else str(int(self.v6only))
        backend, backend_port = self.backend or ("-", 0)
        words = (self.key, v6only, backend, backend_port, self.backlog, int(self.passed), self.timeout)
        return " ".join(map(str, words))

    @classmethod
    def decode(cls, line: str) -> Spec:
        """The inverse of :meth:`encode`; raises ValueError."""
        protocol, address, port, v6only, backend, backend_port, backlog, passed, timeout = line.split(" ")
        return cls(
            protocol,
            address,
            int(port),
            None if v6only == "-" else v6only == "1",
            None if backend == "-" else (backend, int(backend_port)),
            int(backlog),
            passed == "1",
            float(timeout),
        )
