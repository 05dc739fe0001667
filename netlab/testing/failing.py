"""When a test fails: evidence in the report and in files, a shell in the wreck, the lab kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import netlab
from netlab.model.errors import NetlabError, Unmeasured, UsageError
from netlab.testing.watch import Watch, folder_of, how_to_enter
from netlab.view.plain import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.testing.labs import SuiteLab

WATCHES = pytest.StashKey[list[Watch]]()
_PACKAGE = Path(netlab.__file__).parent


def watch(item: pytest.Item, lab: SuiteLab) -> Watch:
    """Keep an eye on a lab that ``item`` uses from now on."""
    found = Watch.begin(lab, capture=bool(item.config.getini("netlab_capture")))
    item.stash.setdefault(WATCHES, []).append(found)
    return found


def release(found: Watch) -> None:
    """End the test's capture; the lab keeps running if it is to be kept."""
    found.end()
    if found.keep and not found.lab.closed:
        found.lab.release()


def shorten(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """End the traceback of a user's error where the test called netlab; keep that of a bug."""
    if not excinfo.errisinstance((NetlabError, subprocess.CalledProcessError)):
        return
    traceback = excinfo.tb
    while traceback.tb_next is not None:
        if Path(traceback.tb_next.tb_frame.f_code.co_filename).is_relative_to(_PACKAGE):
            traceback.tb_next = None
        else:
            traceback = traceback.tb_next


def examine(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Add to the report of a test that went wrong."""
    if call.excinfo is not None and call.excinfo.errisinstance(Unmeasured):
        _unmeasured(call.excinfo, report)
    if not report.failed or report.when == "teardown":
        return
    _show(report)
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, UsageError):  # no state of the lab explains what the test itself says wrong
        return
    if isinstance(error, subprocess.CalledProcessError):
        report.sections += _said(error)
    found = [one for one in item.stash.get(WATCHES, []) if not one.lab.closed]
    if not found:
        return
    folder = folder_of(item)
    for one in found:
        try:
            report.sections += [(title, visible(text)) for title, text in one.evidence(folder)]
        except (NetlabError, OSError) as error:
            report.sections.append((f"netlab: {one.lab.name}", visible(f"no evidence: {error}")))
    report.sections.append(("netlab: files", str(folder)))
    report.user_properties.append(("netlab_artifacts", str(folder)))
    if item.config.getoption("netlab_shell"):
        _shell(item, report, found)
    if item.config.getoption("netlab_keep"):
        for one in found:
            one.keep = True
        kept = [how_to_enter(one.lab.name) for one in found]
        report.sections.append(("netlab: kept", "\n".join(kept)))
        report.netlab_kept = kept  # type: ignore[attr-defined]


def _show(report: pytest.TestReport) -> None:
    """Escape what a stranger's text in an error may do to the terminal."""
    for traceback, crash, _ in getattr(report.longrepr, "chain", ()):
        if crash is not None:
            crash.message = visible(crash.message)
        for entry in traceback.reprentries:
            entry.lines[:] = map(visible, entry.lines)


def _said(error: subprocess.CalledProcessError) -> Iterator[tuple[str, str]]:
    """The output of a failed program."""
    for name in ("stdout", "stderr"):
        text = getattr(error, name)
        if text:
            yield f"netlab: {name} of {error.cmd[0]}", visible(text) if isinstance(text, str) else repr(text)


def _unmeasured(excinfo: pytest.ExceptionInfo[BaseException], report: pytest.TestReport) -> None:
    """What could not be measured is an error: no failure, and nothing that ``xfail`` may expect."""
    report.outcome = "failed"
    if hasattr(report, "wasxfail"):
        del report.wasxfail
        report.longrepr = visible(f"unmeasured: {excinfo.value}")
    report.netlab_unmeasured = True  # type: ignore[attr-defined]


def _shell(item: pytest.Item, report: pytest.TestReport, found: list[Watch]) -> None:
    """Report what went wrong, and open a shell in each lab; pytest continues afterwards."""
    capturing = item.config.pluginmanager.getplugin("capturemanager")
    if capturing is not None:
        capturing.suspend(in_=True)
    try:
        writer = item.config.get_terminal_writer()
        writer.line()
        writer.sep("=", f"netlab: {item.nodeid} failed", red=True)
        writer.line(report.longreprtext)
        for one in found:
            writer.sep("-", f"a shell in {one.lab.name}: `exit` goes on", yellow=True)
            writer.flush()
            subprocess.run([sys.executable, "-P", "-m", "netlab", "shell", one.lab.name], check=False)
    finally:
        if capturing is not None:
            capturing.resume()
