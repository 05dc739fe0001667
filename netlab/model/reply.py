"""The answer of a built-in responder: its name, and the peer address that it saw.

The body is text, one ``key value`` pair per line. Over TCP, it is wrapped in an HTTP/1.1 response; over UDP
and SCTP, it is sent as it is. The ``token`` line returns what the client sent, so a client recognizes its own
answers, and the two legs of a proxied connection can be joined.
"""

from __future__ import annotations

from dataclasses import dataclass

#: A token is cut to this many characters, so that a reply to a datagram always fits one datagram.
TOKEN_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: the node and service that gave it, the peer's address, and the local address."""

    node: str
    service: str
    peer: str
    peer_port: int
    local: str
    local_port: int
    token: str

    def body(self) -> str:
        """The text of the answer."""
        return (
            f"netlab {self.node}\nservice {self.service}\npeer {self.peer} {self.peer_port}\n"
            f"local {self.local} {self.local_port}\ntoken {self.token}\n"
        )

    def datagram(self) -> bytes:
        """The answer over UDP or SCTP."""
        return self.body().encode()

    def http(self) -> bytes:
        """The answer over TCP; the responder closes the connection after it."""
        body = self.body().encode()
        head = (
            "HTTP/1.1 200 OK\r\nServer: netlab\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


def token_of(request: bytes) -> str:
    """The token in a request: an HTTP request's path without its slash, or else the first line."""
    line = request.split(b"\n", 1)[0].strip()
    words = line.split(b" ")
    if len(words) == 3 and words[2].startswith(b"HTTP/"):
        line = words[1].lstrip(b"/")
    text = line.decode("ascii", "replace")
    return "".join(c for c in text if c.isprintable())[:TOKEN_LIMIT] or "-"


def parse_reply(data: bytes) -> Reply | None:
    """The reply in an HTTP response or a datagram; None if it is not a (complete) answer of a responder."""
    text = data.decode("utf-8", "replace")
    if text.startswith("HTTP/"):
        text = text.partition("\r\n\r\n")[2]
    if not text.endswith("\n"):
        return None
    fields = {key: value for key, _, value in (line.partition(" ") for line in text.splitlines())}
    try:
        peer, peer_port = fields["peer"].split(" ")
        local, local_port = fields["local"].split(" ")
        return Reply(
            fields["netlab"], fields["service"], peer, int(peer_port), local, int(local_port), fields["token"]
        )
    except (KeyError, ValueError):
        return None
