"""The project's tasks, each in the virtualenv that runs nox (``./install --dev`` makes it)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "gallery", "tests"]

ROOT = Path(__file__).parent
BIN = Path(sys.executable).parent
SCRIPTS = ("install", ".ci/run", "tests/setup/prove", "tests/setup/afterwards")
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "--import-mode=importlib")
#: Runs what fails beside other tests once more, alone. Each worker begins elsewhere: tests that compute run
#: beside tests that wait, and those that share a lab mostly stay together.
RUN_TESTS = ("tests/run_tests.py", "--dist", "worksteal")
NOTHING_TESTED = 5
#: Tests wait for packets and for daemons half of their time and more, so workers outnumber processors.
PROCESSORS = os.cpu_count() or 1
LAB_WORKERS = str(PROCESSORS * 2)
DAEMON_WORKERS = str(PROCESSORS * 3)
CONSTRAINTS = """\
# The exact versions that the tests ran with, for ./install; pyproject.toml says which ones are allowed.
# Written by `nox -s constraints`.
"""


def python(session: nox.Session, module: str, *arguments: str) -> None:
    """Run a module of this virtualenv; no PATH is asked, which sudo would have changed."""
    session.run(sys.executable, "-m", module, *arguments, external=True)


def pytest(session: nox.Session, *arguments: str, runner: tuple[str, ...] = PYTEST) -> None:
    """Run pytest; "no test ran" ends nox with that very code, since it is neither a pass nor a fail."""
    session.log(" ".join((*runner, *arguments)))
    # Started in the background of a shell, we ignore ^C, and so would every program that the tests run.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = subprocess.run([sys.executable, *runner, *arguments], check=False, cwd=ROOT).returncode
    if code == NOTHING_TESTED:
        sys.exit(NOTHING_TESTED)
    if code:
        session.error(f"pytest ended with exit code {code}")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, the import rules, dead code, and the shell scripts."""
    python(session, "ruff", "check", ".")
    python(session, "ruff", "format", "--check", ".")
    session.run(str(BIN / "lint-imports"), external=True)
    python(session, "vulture")
    if shutil.which("shellcheck") is None:
        session.error("shellcheck is not installed: run ./install --dev")
    session.run("shellcheck", *(name for name in SCRIPTS if (ROOT / name).exists()), external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    python(session, "mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Unit tests, and tests in throw-away namespaces: ``nox -s tests -- -k proxy`` picks some.

    At most five that fail run once more, alone; the session passes if they pass then.
    """
    paths = session.posargs or ("tests/unit", "tests/lab")
    pytest(session, "-n", LAB_WORKERS, *paths, runner=RUN_TESTS)


@nox.session
def gallery(session: nox.Session) -> None:
    """Every scenario of the gallery keeps every expectation that it states."""
    scenarios = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "scenarios").glob("*.yaml"))
    python(session, "netlab", "verify", *(session.posargs or scenarios))


@nox.session
def conformance(session: nox.Session) -> None:
    """Beside real dockerds in namespaces of their own; without one nothing is tested: exit code 5.

    Brings those of other Debian suites first, once. The machine's own is compared with everything, they
    with a selection; ``nox -s conformance -- --conformance-all -k ports`` picks daemons and configurations.
    At most five that fail run once more, alone, as in the session "tests".
    """
    with tempfile.TemporaryDirectory() as folder:  # the results of the first run, for the second
        options = ("--conformance-make", "--conformance-results", f"{folder}/results")
        pytest(
            session, "-n", DAEMON_WORKERS, *options, "tests/conformance", *session.posargs, runner=RUN_TESTS
        )


@nox.session
def journeys(session: nox.Session) -> None:
    """Measure the gallery and its variants again, for the tests that compare predictions with it."""
    session.env["PYTHONPATH"] = str(ROOT / "tests")
    python(session, "support.gallery_journeys", *session.posargs)


@nox.session
def witness(session: nox.Session) -> None:
    """Random rules: what netlab says of each flow beside what sockets, counters and other decoders say.

    ``nox -s witness -- --seconds 600 --seed 7`` limits it; ``--page docs/witness.md`` adds the counts to
    those of earlier runs, and writes them down.
    """
    session.env["PYTHONPATH"] = str(ROOT / "tests")
    python(session, "witness.run", *session.posargs)


@nox.session
def agree(session: nox.Session) -> None:
    """Random hosts with random rules: the kernel against the prediction, hook by hook, shrunk.

    ``nox -s agree -- --packets 100000 --seed 7`` runs long; without options, a thousand packets.
    """
    session.env["PYTHONPATH"] = str(ROOT / "tests")
    python(session, "agree.run", *session.posargs)


@nox.session
def torture(session: nox.Session) -> None:
    """Faults, tried and counted: ``nox -s torture -- --full`` takes hours, without it a taste."""
    pytest(session, "tests/torture", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Every benchmark beside its yardstick: ``nox -s bench -- --quick startup`` picks some."""
    python(session, "netlab.bench", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """What the documents say of verbs, files and commands, compared with what there is."""
    pytest(session, *(session.posargs or ("tests/unit/test_docs.py",)))


@nox.session
def site(session: nox.Session) -> None:
    """The documentation as a site in dist/site; a warning is an error. The tools are in .nox/site.

    Its pictures are measured in labs, as root or in user namespaces: without a lab, it ends with an error.
    """
    folder = ROOT / ".nox" / "site"
    if not (folder / "bin" / "python3").exists():
        session.run(sys.executable, "-m", "venv", str(folder), external=True)
    interpreter = str(folder / "bin" / "python3")
    pip = (interpreter, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    pinned = {"PIP_CONSTRAINT": "constraints.txt", "PIP_BUILD_CONSTRAINT": "constraints.txt"}
    session.run(*pip, "--upgrade", "pip>=25.1", external=True, env=pinned)
    session.run(*pip, "--editable", ".", "--group", "site", external=True, env=pinned)
    sphinx = ("sphinx", "--quiet", "--fail-on-warning", "--keep-going", "--fresh-env", "-b", "html")
    session.run(interpreter, "-m", *sphinx, "-c", "docs/site", "docs", "dist/site", external=True)


@nox.session
def constraints(session: nox.Session) -> None:
    """Renew constraints.txt: the newest versions that pyproject.toml allows, in a virtualenv of their own."""
    with tempfile.TemporaryDirectory() as folder:
        session.run(sys.executable, "-m", "venv", folder, external=True)
        pip = (f"{folder}/bin/python3", "-m", "pip", "--disable-pip-version-check")
        session.run(*pip, "install", "--quiet", "--upgrade", "pip", external=True)
        session.run(
            *pip, "install", "--quiet", "--editable", ".", "--group", "dev", "--group", "site", external=True
        )
        frozen = subprocess.run(
            [*pip, "freeze", "--all", "--exclude", "netlab", "--exclude", "setuptools"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    (ROOT / "constraints.txt").write_text(CONSTRAINTS + frozen, "utf-8")


@nox.session
def fresh(session: nox.Session) -> None:
    """Both commands of the README in clean Debian 12 and 13 systems (needs debootstrap; some minutes)."""
    session.run(str(ROOT / "tests/setup/prove", "tests/setup/afterwards"), *session.posargs, external=True)
