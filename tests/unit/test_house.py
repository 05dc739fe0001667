"""The rules of the house that no other tool checks, over every file that people read or write."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_MODULE = 500
LONGEST_FUNCTION = 70
#: The rooms in which a process may be started: the core is pure, and view only draws.
MAY_START_PROCESSES = ("kernel", "measure", "proxy", "lab", "cli", "testing", "bench")
PURE_ROOMS = (
    "model",
    "scenario",
    "lesson",
    "engine",
    "firewall",
    "plan",
    "journey",
    "predict",
    "collection",
    "view",
)
LINUX_ONLY = {"ctypes", "fcntl", "resource", "pyroute2", "scapy", "subprocess", "select", "signal"}

MODULES = sorted((ROOT / "netlab").rglob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if "data" not in path.parts)
TEXTS = sorted(
    path
    for path in (
        *MODULES,
        *TESTS,
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "scenarios").rglob("*.yaml"),
        *(ROOT / "netlab" / "lesson").rglob("*.yaml"),
        *(
            ROOT / name
            for name in ("install", "noxfile.py", "pyproject.toml", ".ci/run", "tests/setup/prove")
        ),
    )
    if path.is_file()
)


def named(path: Path) -> str:
    """A file's name in the reports of this module."""
    return str(path.relative_to(ROOT))


def over(paths: Iterable[Path]) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """One test of all these files: one for each of them would take longer to collect than to run."""

    def decorate(check: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            failures = []
            for path in paths:
                try:
                    check(path)
                except AssertionError as error:
                    failures.append(f"{named(path)}: {error}")
            assert not failures, "\n".join(failures)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(path.read_text(), named(path))


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in a tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 10
    assert len(TEXTS) > len(MODULES)


@over(MODULES)
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_MODULE


@over(MODULES)
def test_functions_fit_a_screen(path: Path) -> None:
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


@over(MODULES)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path))


@over(MODULES)
def test_pure_rooms_touch_no_linux_and_start_nothing(path: Path) -> None:
    room = path.relative_to(ROOT / "netlab").parts[0]
    imported = {name.partition(".")[0] for name in imports_of(tree_of(path))}
    if room in PURE_ROOMS:
        assert imported & LINUX_ONLY == set()
    elif room not in MAY_START_PROCESSES:
        assert "subprocess" not in imported


def keyword_is_true(node: ast.Call, name: str) -> bool:
    """Whether a call says ``name=True``."""
    return any(
        keyword.arg == name and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in node.keywords
    )


def sins_of(tree: ast.AST) -> Iterator[str]:
    """Shell strings, sleeps, and exceptions that are caught whole and forgotten."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if keyword_is_true(node, "shell") or called in ("os.system", "os.popen"):
                yield f"line {node.lineno}: a shell string"
            if called in ("time.sleep", "sleep", "asyncio.sleep"):
                yield f"line {node.lineno}: a sleep"
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            if broad and all(isinstance(line, ast.Pass | ast.Continue) for line in node.body):
                yield f"line {node.lineno}: a swallowed exception"


@over([*MODULES, *TESTS, ROOT / "noxfile.py"])
def test_no_shell_no_sleep_no_swallowed_exception(path: Path) -> None:
    assert list(sins_of(tree_of(path))) == []


@pytest.mark.parametrize(
    ("code", "sin"),
    [
        ("subprocess.run(x, shell=True)", "a shell string"),
        ("os.system(x)", "a shell string"),
        ("time.sleep(1)", "a sleep"),
        ("try:\n    f()\nexcept Exception:\n    pass", "a swallowed exception"),
        ("try:\n    f()\nexcept:\n    pass", "a swallowed exception"),
    ],
)
def test_the_sins_are_recognised(code: str, sin: str) -> None:
    assert [found.partition(": ")[2] for found in sins_of(ast.parse(code))] == [sin]


#: Put together here, so that this file does not contain them.
FORBIDDEN = {
    "a promise instead of work": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b"),
    "a path of somebody's machine": re.compile(r"(?<![\w/.$}])/(?:wo" + r"rk|home|Users)/"),
    "an unresolved merge": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
}


@over(TEXTS)
def test_words_that_do_not_belong_here(path: Path) -> None:
    text = path.read_text()
    assert {what: found[0] for what, pattern in FORBIDDEN.items() if (found := pattern.search(text))} == {}


#: The supervisor's own root, in which it alone has mounts: for `ip netns`, netlab itself opens no such path.
OWN_ROOT = {
    "netlab/lab/supervisor/published.py": ["/proc/{self._pid}/root{self._private}/netns/{node}"],
    # The cell of a real daemon, whose processes are the bench's own.
    "netlab/bench/real/testbed.py": ["/proc/{self.pid}/root"],
}


#: Modules that write files of netlab's own, or of those who work on it.
WRITERS = {
    "cli/output.py", "cli/main.py", "cli/shell.py", "cli/gallery_page.py", "cli/manual.py", "cli/trace.py",
    "lab/output_file.py",
}  # fmt: skip


@over([path for path in MODULES if named(path).startswith(("cli/", "view/", "testing/", "lab/client/"))])
def test_one_function_opens_files_for_output(path: Path) -> None:
    if named(path) in WRITERS:
        return
    found = [
        ast.unparse(node)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and re.search(r"(\.write_(text|bytes)|(^|\.)open)$", ast.unparse(node.func))
        and re.search(r"write_|[\"'][wax]b?[\"']|O_WRONLY|O_RDWR", ast.unparse(node))
        and "devnull" not in ast.unparse(node)
    ]
    assert found == []


@over(MODULES)
def test_no_path_goes_through_a_programs_root(path: Path) -> None:
    texts = [
        ast.unparse(node)[2:-1]
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
    ]
    found = [text for text in texts if re.match(r"/proc/[^/ ]+/(?:root|cwd|map_files|fd/[^/{]*/)", text)]
    assert found == OWN_ROOT.get(named(path), [])


@over(MODULES)
def test_a_family_is_a_value_and_no_suffix(path: Path) -> None:
    names = {node.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef)}
    twins = [(a, a[:-1] + "6") for a in names if re.search(r"(?:_v|_ip|_ipv)4$", a) and a[:-1] + "6" in names]
    assert twins == []
