"""``netlab serve LAB``: a page that shows the lab's traffic while it happens."""

from __future__ import annotations

import secrets
import signal
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from netlab.cli.interrupted import UntilInterrupted
from netlab.cli.output import print_text, say
from netlab.cli.shell import find_whole_lab
from netlab.lab.client.instrument import watching
from netlab.lab.client.rules import read_rules
from netlab.model.errors import LabError, MachineError, Unmeasured, UsageError
from netlab.view.page.chains import Chains

try:
    from netlab.web import rules_message
    from netlab.web.server import Page
except ModuleNotFoundError as missing:  # the core of netlab does not need them
    if (missing.name or "").partition(".")[0] not in ("uvicorn", "starlette", "anyio", "h11", "click"):
        raise
    MISSING = (missing.name or "").partition(".")[0]
else:
    MISSING = ""

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from netlab.lab.client.client import Client
    from netlab.measure.watch import JourneyReport, RemoteWatch
    from netlab.plan.live_rules import Rules

#: seconds between two readings of the rules: they are read again if a journey met one that is not known
_READ_AGAIN: Final = 2.0
_INSTALL: Final = "pip install 'netlab[serve]' (or ./install --dev in netlab's folder)"


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or the lab's end; returns 0, or 3 if events were lost."""
    if MISSING:
        raise MachineError(f"netlab serve needs the package {MISSING}: {_INSTALL}")
    if not 0 <= args.port < 1 << 16:
        raise UsageError(f"--port {args.port}: a port is a number from 0 to 65535")
    client = find_whole_lab(args.lab, "a page shows a whole lab")
    traffic = _Traffic(client)
    token = secrets.token_urlsafe(24)
    try:
        page = Page(client.plan, traffic.rules, token, args.port)
    except OSError as error:
        raise UsageError(f"cannot listen on 127.0.0.1 port {args.port}: {error.strerror}") from error
    with closing(page), watching(client) as watch:
        print_text(f"http://127.0.0.1:{page.port}/{token}/")
        sys.stdout.flush()
        with UntilInterrupted(watch.stop) as until, _told_of_its_end(page, watch.stop) as end:
            say(f"showing the traffic of {client.name} there (Ctrl-C ends)")
            gone = _show(watch, traffic, page)
        if end and not until.interrupted:
            raise LabError(f"the process that serves the page has ended (return code {end[0]})")
        if gone:
            say(f"the lab {client.name} has ended")
        page.end(f"The lab {client.name} has ended." if gone else "netlab serve has ended.")
    if watch.faults:
        times = "once" if watch.faults == 1 else f"{watch.faults} times"
        say(f"the instrument failed {times}: what was traced then is missing ({watch.problem})")
    return 3 if watch.faults else 0


def _show(watch: RemoteWatch, traffic: _Traffic, page: Page) -> bool:
    """Show journeys until the watch is stopped (False), or the lab ends (True)."""
    try:
        for report in watch:
            changed = traffic.look(report)
            if changed is not None:
                page.rules(rules_message.encode(changed))
            page.journey(report.journey, report.when)
    except (Unmeasured, LabError):
        if traffic.stands():
            raise
        return True
    return False


@contextmanager
def _told_of_its_end(page: Page, stop: Callable[[], None]) -> Iterator[list[int]]:
    """Calls ``stop`` if the serving process ends; its return code is then in the list."""
    end: list[int] = []

    def on_signal(*_: object) -> None:
        code = page.returncode()
        if code is not None:
            end.append(code)
            stop()

    before = signal.signal(signal.SIGCHLD, on_signal)
    try:
        on_signal()  # it may have ended before
        yield end
    finally:
        signal.signal(signal.SIGCHLD, before)


class _Traffic:
    """The rules of a lab's hosts, as they were read last."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.rules = self._read()

    def _read(self) -> dict[str, Rules]:
        hosts = [node.name for node in self._client.plan.nodes if node.kind == "host"]
        rules = {host: read_rules(self._client, host) for host in hosts}
        self._chains = Chains(self._client.plan, rules, "")
        self._when = time.monotonic()
        return rules

    def look(self, report: JourneyReport) -> dict[str, Rules] | None:
        """The rules, if a journey met one that was not among them."""
        if self._chains.lists(report.journey) or time.monotonic() - self._when < _READ_AGAIN:
            return None
        self.rules = self._read()
        return self.rules

    def stands(self) -> bool:
        """Whether the lab is still there."""
        try:
            self._client.status()
        except LabError:
            return False
        return True
