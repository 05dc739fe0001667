"""Run pytest, and the few tests that fail beside others once more, alone.

``python tests/run_tests.py ARGUMENT…`` takes pytest's arguments. If at most five tests fail, exactly these
run again: in one process, one after another. Both results are printed, and the exit code is 0 if each of them
passes alone. With more failures, a collection error or a crashed worker, the exit code is pytest's own. So is
that of a run that was cut short (``-x``): nobody knows what its other tests would have said.

Alone means: after the first runs of all others that were started in the same folder, and before their second.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MOST_FAILURES = 5
PASSED_ALONE = "failed beside others, passed alone"
FAILED_ALONE = "failed beside others, and alone"
ALWAYS = ("-p", "no:cacheprovider", "--import-mode=importlib")


def first_line(report: pytest.TestReport) -> str:
    """The first line of what an error says."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(getattr(crash, "message", report.longrepr)).strip()
    return text.partition("\n")[0]


class Results:
    """Which tests passed and which failed, gathered in the process that controls the workers."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.failed: dict[str, str] = {}
        self.broken = False  #: whether something failed that is no test

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when not in ("setup", "call", "teardown"):
            self.broken = True  # what xdist says of the test during which a worker crashed
        if report.failed:
            self.failed.setdefault(report.nodeid, first_line(report))
        elif report.passed and report.when == "call":
            self.passed.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.broken |= report.failed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.broken |= bool(session.shouldfail or session.shouldstop)


class Alone:
    """Selects tests by their exact ids, so that no character of a parameter has a meaning."""

    def __init__(self, ids: list[str]) -> None:
        self.ids = set(ids)

    def pytest_configure(self, config: pytest.Config) -> None:
        """Collect only the files of these tests; a report of the first run is not written over."""
        config.args = sorted({str(config.rootpath / name.partition("::")[0]) for name in self.ids})
        config.option.xmlpath = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        others = [item for item in items if item.nodeid not in self.ids]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item.nodeid in self.ids]


@contextlib.contextmanager
def locked(how: int) -> Iterator[None]:
    """Lock this folder: shared for the first run, exclusive for the second; wait until that is possible."""
    folder = os.open(".", os.O_RDONLY)
    try:
        fcntl.flock(folder, how)
        yield
    finally:
        os.close(folder)


def alone(file: Path, arguments: list[str]) -> int:
    """Run the tests whose ids are in a file, and leave in it which passed and how the others failed."""
    results = Results()
    plugins = [results, Alone(json.loads(file.read_text()))]
    code = pytest.main([*ALWAYS, *arguments, "-q", "-n", "0"], plugins=plugins)
    file.write_text(json.dumps({"passed": sorted(results.passed), "failed": results.failed}))
    return int(code)


def again(failed: dict[str, str], arguments: list[str]) -> int:
    """Run tests that failed once more, in a process of their own, and print both results."""
    print(f"\n{len(failed)} failed beside others; now alone:", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "tests")
        file.write_text(json.dumps(sorted(failed)))
        command = [sys.executable, __file__, "--alone", str(file), *arguments]
        with locked(fcntl.LOCK_EX):
            code = subprocess.run(command, check=False).returncode
        found = json.loads(file.read_text())
    if isinstance(found, list):  # it ended before it could write
        found = {"passed": [], "failed": {}}
    print()
    for name, error in failed.items():
        if name in found["passed"] and name not in found["failed"]:
            print(f"{PASSED_ALONE}: {name} ({error})")
        else:
            second = found["failed"].get(name, "no result")
            print(f"{FAILED_ALONE}: {name} ({error}; alone: {second})")
            code = code or 1
    return code


def main(arguments: list[str]) -> int:
    """Run all, then what failed; the exit code."""
    sys.path[0] = os.getcwd()  # as `python -m pytest` does
    if arguments[:1] == ["--alone"]:
        return alone(Path(arguments[1]), arguments[2:])
    results = Results()
    with locked(fcntl.LOCK_SH):
        code = int(pytest.main([*ALWAYS, *arguments], plugins=[results]))
    few = 0 < len(results.failed) <= MOST_FAILURES
    if code != pytest.ExitCode.TESTS_FAILED or results.broken or not few:
        return code
    return again(results.failed, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
