"""The engine's HTTP API over a UNIX socket, without a client program in between."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

#: for one answer; a daemon that loads an image on a busy machine needs some
SECONDS = 60.0


class ApiError(Exception):
    """The engine refused; ``status`` is HTTP's, the text the engine's own."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(f"{status}: {message}")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Docker:
    """A client for the engine behind ``path``; each call is one connection."""

    def __init__(self, path: str) -> None:
        self.path = path

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Any:
        """One request; returns the decoded JSON (or text). ApiError, or OSError if nobody listens."""
        connection = _Connection(self.path, SECONDS)
        try:
            headers = {}
            data: bytes | None = None
            if isinstance(body, bytes):
                data, headers["Content-Type"] = body, "application/x-tar"
            elif body is not None:
                data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
            connection.request(method, path + ("?" + urlencode(query) if query else ""), data, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status >= 400:
            with contextlib.suppress(ValueError, KeyError):
                text = json.loads(text)["message"]
            raise ApiError(response.status, text.strip())
        return json.loads(text) if text.startswith(("{", "[")) and "\n{" not in text.strip() else text

    def get(self, path: str, **query: str | int) -> Any:
        """GET."""
        return self.call("GET", path, None, query)

    def post(self, path: str, body: Mapping[str, Any] | None = None, **query: str | int) -> Any:
        """POST."""
        return self.call("POST", path, body, query)

    def delete(self, path: str, **query: str | int) -> Any:
        """DELETE."""
        return self.call("DELETE", path, None, query)

    def container(self, name: str) -> dict[str, Any]:
        """``docker inspect NAME``."""
        found: dict[str, Any] = self.get(f"/containers/{quote(name)}/json")
        return found
