"""The pytest plugin: labs as fixtures, scenario files as tests.

pytest imports this module in every project of an environment with netlab, so it imports only pytest; the
first test with a lab imports everything else, as attributes of :mod:`netlab.testing`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from netlab import testing
from netlab.testing.files import _matches, is_named

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from netlab.testing.labs import Shared, SuiteLab
    from netlab.testing.scenarios import ScenarioFile
    from netlab.testing.variants import Variant

#: the start of a skip's reason if the machine lacks something
_LACKING = "netlab: "
_SHARED = pytest.StashKey["Shared"]()
_MARKER = (
    "netlab(*files, engine=, firewall=, daemon=, scope='function', ...): the scenario of the fixture `lab`; "
    "a list of files, engines, firewalls or daemon settings runs the test in each; "
    "scope 'module' or 'session' shares the lab"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options ``--netlab-…``, and the settings of the configuration file."""
    group = parser.getgroup("netlab", "container networks in namespaces")
    option = group.addoption
    option(
        "--netlab-engine", action="append", metavar="NAME", default=[],
        help="run every test that has a lab with this engine, such as docker-28; may be repeated",
    )  # fmt: skip
    option(
        "--netlab-require", action="store_true", help="fail, instead of skipping, where no lab can be built"
    )
    option(
        "--netlab-artifacts", metavar="DIR",
        help="put the evidence of failed tests (journeys, rules, packets) into DIR",
    )  # fmt: skip
    option("--netlab-keep", action="store_true", help="let the labs of failed tests stand")
    option("--netlab-shell", action="store_true", help="open a shell in the lab of a failed test")
    parser.addini(
        "netlab_files", "patterns of scenario files that are collected as tests", type="args", default=[]
    )
    parser.addini(
        "netlab_capture", "capture the packets of every test, for the case that it fails", type="bool",
        default=True,
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known; raises UsageError for options that cannot be meant."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("netlab_shell") and config.getoption("dist", "no") != "no":
        raise pytest.UsageError("--netlab-shell needs the terminal: run without -n and --dist")
    engines = config.getoption("netlab_engine")
    if engines:
        testing.variants.check_engines(engines)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have JUnit's XML say what pytest says."""
    if session.config.getoption("xmlpath", None):
        writer = testing.junit.writer_in(session.config)
        if writer is not None:
            session.config.pluginmanager.register(testing.junit.UnmeasuredAsErrors(writer))


# -- collection


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Scenario files that were named on the command line, or that ``netlab_files`` matches."""
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    if not is_named(file_path, parent.config) and not _matches(file_path, parent.config):
        return None
    if not testing.scenarios.is_scenario(file_path):
        return None
    return testing.scenarios.ScenarioFile.from_parent(parent, path=file_path)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each variant that its marker means."""
    marked = metafunc.definition.get_closest_marker("netlab") is not None
    if not marked or "lab" not in metafunc.fixturenames:
        return
    for marker in metafunc.definition.iter_markers("parametrize"):
        names = marker.args[0] if marker.args else marker.kwargs.get("argnames", ())
        if "lab" in (names.replace(",", " ").split() if isinstance(names, str) else names):
            return
    try:
        variants = _wanted(metafunc.definition, None)
    except testing.variants.MarkerError:
        return  # the fixture says it again, as the error of this test alone
    if len(variants) > 1 or variants[0].id:
        metafunc.parametrize("lab", variants, indirect=True, ids=[variant.id for variant in variants])


def _wanted(item: pytest.Item, param: object) -> list[Variant]:
    """The labs that a test uses; raises MarkerError."""
    folders = dict.fromkeys((item.path.parent, item.config.rootpath))
    wish = testing.variants.Wish.of(item.iter_markers("netlab"), param)
    return wish.variants(list(folders), item.config.getoption("netlab_engine"))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Put tests that share a lab on one worker with ``--dist loadgroup``; warn about an unused marker."""
    marker = item.get_closest_marker("netlab")
    if marker is None:
        return
    asked = getattr(item, "fixturenames", ())
    own = isinstance(item, pytest.Function) and marker in item.own_markers
    if own and "lab" not in asked and "request" not in asked:
        item.warn(
            pytest.PytestWarning(f"{item.name} is marked netlab, but does not use a lab, so it gets none")
        )
    if not item.config.pluginmanager.hasplugin("xdist"):
        return
    scope = marker.kwargs.get("scope", "function")
    if scope == "function" or item.get_closest_marker("xdist_group") is not None:
        return
    module = item.getparent(pytest.Module)
    where = module.nodeid if scope == "module" and module is not None else "session"
    item.add_marker(pytest.mark.xdist_group(f"netlab-{where}-{','.join(map(str, marker.args))}"))


# -- fixtures


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[SuiteLab]:
    """The lab of the test's ``netlab`` marker, or of its own parameter."""
    param = getattr(request, "param", None)
    variant = param if isinstance(param, testing.variants.Variant) else _only(request.node, param)
    if variant.mismatch:
        pytest.skip(f"the test is {variant.mismatch} (--netlab-engine)")
    shared = variant.scope != "function"
    if shared:
        found = _shared(request.config).get(request.config, _sharing(request, variant), variant)
    else:
        found = testing.labs.bring_up(request.config, variant)
    try:
        watched = testing.failing.watch(request.node, found)
        try:
            yield found
        finally:
            testing.failing.release(watched)
    finally:
        if not shared:
            found.close()


def _only(item: pytest.Item, param: object) -> Variant:
    """The one lab that a test uses; none or several are an error in the test."""
    __tracebackhide__ = True
    problem, variants = "one parameter of lab means several labs", []
    try:
        variants = _wanted(item, param)
    except testing.variants.MarkerError as error:
        problem = str(error)
    if len(variants) != 1:
        pytest.fail(problem, pytrace=False)
    return variants[0]


def _sharing(request: pytest.FixtureRequest, variant: Variant) -> pytest.Collector | pytest.Session:
    module = request.node.getparent(pytest.Module) if variant.scope == "module" else None
    return request.session if module is None else module


def _shared(config: pytest.Config) -> Shared:
    return config.stash.setdefault(_SHARED, testing.labs.Shared())


@pytest.fixture
def make_lab(request: pytest.FixtureRequest) -> Iterator[Callable[..., SuiteLab]]:
    """Makes labs, as `netlab.Lab` does: ``make_lab("web.yaml", engine="docker-28")``.

    They end with the test. A relative file is searched beside the test, and then in the root directory.
    """
    watched = []

    def make(*files: str | Path, **options: Any) -> SuiteLab:
        with testing.labs.able(request.config):
            found = testing.labs.SuiteLab(*(_beside(request, file) for file in files), **options)
        try:
            watched.append(testing.failing.watch(request.node, found))
        except BaseException:
            found.close()
            raise
        return found

    yield make
    for one in reversed(watched):
        try:
            testing.failing.release(one)
        finally:
            one.lab.close()


def _beside(request: pytest.FixtureRequest, file: str | Path) -> Path:
    for folder in (request.path.parent, request.config.rootpath):
        if (folder / file).exists():
            return folder / file
    return request.path.parent / file


# -- reports


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add journeys, rules and captures to the report of a failed test with a lab."""
    if call.excinfo is None or "netlab.model.errors" not in sys.modules:
        return (yield)
    if not item.config.getoption("fulltrace"):
        testing.failing.shorten(call.excinfo)
    report = yield
    testing.failing.examine(item, call, report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """What could not be measured is an error, not a failure."""
    if report.failed and getattr(report, "netlab_unmeasured", False):
        return "error", "E", "UNMEASURED"
    return None


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Expected against measured, as a journey."""
    journeys = sys.modules.get("netlab.model.journey")
    if journeys is None or op not in ("==", "!="):
        return None
    if not isinstance(left, journeys.Journey) and not isinstance(right, journeys.Journey):
        return None
    return testing.explain.compare(op, left, right)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Report why labs could not be built, and which ones are still running."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    skipped: dict[str, int] = {}
    for report in reports:
        why = getattr(report, "longrepr", None)
        if getattr(report, "skipped", False) and isinstance(why, tuple):
            reason = str(why[2]).removeprefix("Skipped: ")
            if reason.startswith(_LACKING):
                skipped[reason] = skipped.get(reason, 0) + 1
    kept = [line for report in reports for line in getattr(report, "netlab_kept", ())]
    if skipped:
        terminalreporter.section("netlab: skipped", yellow=True)
        for reason, count in skipped.items():
            terminalreporter.line(f"{count} × {reason.removeprefix(_LACKING)}")
        terminalreporter.line("`netlab doctor` says what would help; --netlab-require makes this a failure")
    if kept:
        terminalreporter.section("netlab: labs that stand", yellow=True)
        for line in dict.fromkeys(kept):
            terminalreporter.line(line)
