"""What is served: the page, and the events that keep it up to date. Nothing can be changed.

Whoever asks must call the server by a name of this machine's loopback, so that no page of another site
reaches it under its own name (DNS rebinding), and know the token in the path.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

#: events that are kept for a page that was away
_KEPT: Final = 400
#: seconds after which a silent connection gets a comment, so that a dead one is found
_ALIVE: Final = 15.0
_NAMES: Final = ("127.0.0.1", "localhost")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the rest stands in the page
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Events:
    """Numbered events, and those who wait for the next one; for one event loop."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._events: deque[tuple[int, str]] = deque(maxlen=kept)
        self._changed = asyncio.Event()
        self.last = 0  #: the number of the last event
        self.ended = False  #: nothing comes any more

    def publish(self, name: str, data: dict[str, Any], *, last: bool = False) -> None:
        """An event for every page; ``last``: and the end of all streams."""
        self.last += 1
        self._events.append((self.last, _event(name, data, self.last)))
        self.ended = self.ended or last
        self._changed.set()
        self._changed = asyncio.Event()

    def since(self, after: int) -> list[tuple[int, str]] | None:
        """The events after a number; None if some of them are no longer kept, or never were."""
        if after > self.last or (self._events and after < self._events[0][0] - 1):
            return None
        return [one for one in self._events if one[0] > after]

    async def stream(self, after: int) -> AsyncIterator[str]:
        """The events after a number, and those to come, in the form of text/event-stream (HTML, 9.2)."""
        yield "retry: 1000\n\n"
        while True:
            changed = self._changed
            found = self.since(after)
            if found is None:
                yield _event("reload", {}, self.last)
                return
            for number, text in found:
                yield text
                after = number
            if self.ended:
                return
            if self.last == after:
                try:
                    await asyncio.wait_for(changed.wait(), _ALIVE)
                except TimeoutError:
                    yield ": still here\n\n"


def _event(name: str, data: dict[str, Any], number: int) -> str:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=True)}\n\n"


def application(token: str, page: Callable[[], str], events: Events) -> Starlette:
    """The application: ``page`` gives the page as it is now."""

    async def show(_: Request) -> Response:
        return HTMLResponse(page(), headers=_HEADERS)

    async def stream(request: Request) -> Response:
        known = request.headers.get("last-event-id") or request.query_params.get("after", "")
        after = int(known) if known.isascii() and known.isdigit() and len(known) < 16 else 0
        return StreamingResponse(events.stream(after), media_type="text/event-stream", headers=_HEADERS)

    routes = [
        Route(f"/{token}/", show, methods=["GET"]),
        Route(f"/{token}/events", stream, methods=["GET"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Doorkeeper, token=token)])


class Doorkeeper:
    """Refuses whoever calls the server by another name, does not know the token, or wants more than read."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._start = f"/{token}/".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)  # the server's own life
            return
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not _is_ours(hosts[0].decode("latin-1")):
            return _refuse(421, "this server answers only as 127.0.0.1 or localhost")
        path = scope.get("raw_path") or b""
        if not hmac.compare_digest(path[: len(self._start)], self._start):
            return _refuse(403, "open the whole address that netlab serve printed")
        if scope["method"] not in ("GET", "HEAD"):
            return _refuse(405, "nothing can be changed here", {"Allow": "GET, HEAD"})
        return None


def _is_ours(host: str) -> bool:
    """Whether a Host names the loopback, with any port: the user may have forwarded another one here."""
    name, colon, port = host.partition(":")
    return name.lower() in _NAMES and (not colon or (port.isascii() and port.isdigit()))


def _refuse(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"netlab: {text}\n", status, {**_HEADERS, **(headers or {})})
