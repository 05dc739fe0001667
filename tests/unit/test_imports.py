"""Which module imports which: no circles, and the drawing of the rooms in the architecture page is true.

The graph is read from the syntax trees, so an import inside a function counts as one at the top of the
file. Imports below ``if TYPE_CHECKING`` count for circles, and are left out of the drawing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = ROOT / "docs" / "architecture.md"

Graph = Mapping[str, frozenset[str]]


def module_name(path: Path) -> str:
    """``netlab.lab.state`` for its file; a package is called after its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def sources() -> dict[str, ast.Module]:
    """Every module of netlab, parsed."""
    paths = sorted((ROOT / "netlab").rglob("*.py"))
    return {module_name(path): ast.parse(path.read_text(), str(path)) for path in paths}


def is_for_types(node: ast.AST) -> bool:
    """Whether a statement is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def statements(tree: ast.AST, *, types: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements of a tree: those for types only, or all others."""
    for node in ast.iter_child_nodes(tree):
        if is_for_types(node):
            assert isinstance(node, ast.If)
            inner = node.body if types else node.orelse
            for one in inner:
                yield from (n for n in ast.walk(one) if isinstance(n, ast.Import | ast.ImportFrom))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            if not types:
                yield node
        else:
            yield from statements(node, types=types)


def imported(node: ast.Import | ast.ImportFrom, known: Iterable[str]) -> Iterator[str]:
    """The modules that a statement names.

    ``from netlab.lab import state`` means ``netlab.lab.state`` and, as that is a module, not its package.
    """
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
        return
    assert node.level == 0, "imports are absolute"
    for alias in node.names:
        whole = f"{node.module}.{alias.name}"
        if whole in known:
            yield whole
        elif node.module in known:
            assert node.module is not None
            yield node.module


def graph_of(trees: Mapping[str, ast.Module], *, types: bool = False) -> dict[str, frozenset[str]]:
    """Module → the modules that it imports."""
    return {
        name: frozenset(found for node in statements(tree, types=types) for found in imported(node, trees))
        - {name}
        for name, tree in trees.items()
    }


@cache
def netlab_graph(*, types: bool = False) -> dict[str, frozenset[str]]:
    """The graph of netlab's own modules."""
    return graph_of(sources(), types=types)


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules each of which imports, by way of others, every other one (Tarjan's algorithm)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in number:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], number[other])
        if low[name] == number[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in number:
            visit(name)
    return sorted(found)


def rooms(graph: Graph) -> dict[str, set[str]]:
    """Room → the rooms that it imports; the package itself and its ``__main__`` belong to no room."""

    def room(module: str) -> str:
        parts = module.split(".")
        return parts[1] if len(parts) > 1 and (ROOT / "netlab" / parts[1]).is_dir() else ""

    found: dict[str, set[str]] = {}
    for module, others in graph.items():
        if room(module):
            found.setdefault(room(module), set()).update(
                {room(other) for other in others} - {room(module), ""}
            )
    return found


def drawing(edges: Mapping[str, set[str]]) -> str:
    """The rooms, each with those that it imports, those that import nothing last."""
    order: list[str] = []

    def visit(name: str) -> None:
        for other in sorted(edges[name]):
            if other not in order:
                visit(other)
        if name not in order:
            order.append(name)

    for name in sorted(edges):
        visit(name)
    width = max(map(len, order))
    lines = [
        f"{name:<{width}} → {', '.join(n for n in reversed(order) if n in edges[name])}"
        for name in reversed(order)
    ]
    return "\n".join(
        line.removesuffix(" → ").rstrip() if not edges[name] else line
        for name, line in zip(reversed(order), lines, strict=True)
    )


def whole_graph() -> Graph:
    """Module → the modules that it imports, for types too."""
    whole, types = netlab_graph(), netlab_graph(types=True)
    return {name: whole[name] | types[name] for name in whole}


def test_no_circles() -> None:
    assert circles(whole_graph()) == []


def test_engines_are_known_by_their_contract() -> None:
    """Whatever an engine keeps, no other package looks at it: Docker is one engine among others."""
    public = {"netlab.engine", "netlab.engine.contract", "netlab.engine.found"}
    inside = [
        f"{name} imports {other}"
        for graph in (netlab_graph(), netlab_graph(types=True))
        for name, others in graph.items()
        for other in others
        if in_engine(other) and not in_engine(name) and other not in public
    ]
    assert inside == []
    assert "netlab.engine.contract" in netlab_graph()["netlab.plan.build"]


def in_engine(module: str) -> bool:
    return module == "netlab.engine" or module.startswith("netlab.engine.")


def test_no_circles_of_rooms() -> None:
    edges = rooms(whole_graph())
    assert circles({name: frozenset(others) for name, others in edges.items()}) == []


def test_the_drawing_of_the_rooms_is_true() -> None:
    drawn = drawing(rooms(netlab_graph()))
    assert f"```\n{drawn}\n```" in ARCHITECTURE.read_text(), f"docs/architecture.md should have:\n{drawn}"


#: Where modules are loaded by their names; each says why. Nothing is imported inside a function.
DOORS = {
    "netlab.cli.verbs": "a verb's own modules",
    "netlab.first_use": "what the names of a package stand for",
    "netlab.lab.supervisor.forked": "what a process of a lab runs",
}


def inner_imports(tree: ast.AST) -> list[str]:
    """The import statements of a module that are inside its functions."""
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def loads_by_name(tree: ast.AST) -> bool:
    """Whether a module calls ``__import__`` or something of importlib's."""
    names = {
        ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(tree) if isinstance(node, ast.Call)
    }
    return bool(names & {"__import__", "import_module", "exec_module", "load_module", "run_module"})


def test_imports_are_at_the_top() -> None:
    found = {name: inner for name, tree in sources().items() if (inner := inner_imports(tree))}
    assert found == {}


def test_modules_are_loaded_by_name_at_three_doors() -> None:
    found = {name for name, tree in sources().items() if loads_by_name(tree)}
    assert found == set(DOORS)


@pytest.mark.parametrize("name", DOORS)
def test_every_door_says_why(name: str) -> None:
    path = ROOT / f"{name.replace('.', '/')}.py"
    assert path.read_text().count("A door: ") == 1


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    import os",
        "class A:\n    async def f(self):\n        if x:\n            from os import path",
    ],
)
def test_imports_inside_functions_are_found(code: str) -> None:
    assert len(inner_imports(ast.parse(code))) == 1
    assert inner_imports(ast.parse("import os\nif x:\n    import re")) == []


@pytest.mark.parametrize("call", ["__import__(n)", "importlib.import_module(n)", "import_module(n)"])
def test_loading_by_name_is_found(call: str) -> None:
    assert loads_by_name(ast.parse(f"def f():\n    return {call}"))
    assert not loads_by_name(ast.parse("load(n)"))


@pytest.mark.parametrize(
    ("code", "imports", "for_types"),
    [
        ("import netlab.b", {"netlab.b"}, set()),
        ("from netlab import b", {"netlab.b"}, set()),
        ("from netlab.b import name", {"netlab.b"}, set()),
        ("from netlab import name", {"netlab"}, set()),
        ("def f():\n    from netlab import b", {"netlab.b"}, set()),
        (
            "try:\n    import netlab.b\nexcept ImportError:\n    import netlab.c",
            {"netlab.b", "netlab.c"},
            set(),
        ),
        (
            "if TYPE_CHECKING:\n    from netlab.b import Name\nelse:\n    import netlab.c",
            {"netlab.c"},
            {"netlab.b"},
        ),
        ("import os", set(), set()),
    ],
)
def test_imports_are_found(code: str, imports: set[str], for_types: set[str]) -> None:
    trees = {
        "netlab.a": ast.parse(code),
        **{name: ast.parse("") for name in ("netlab", "netlab.b", "netlab.c")},
    }
    assert graph_of(trees)["netlab.a"] == imports
    assert graph_of(trees, types=True)["netlab.a"] == for_types


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": "b", "b": ""}, []),
        ({"a": "b", "b": "a"}, [["a", "b"]]),
        ({"a": "b", "b": "c", "c": "a", "d": "a"}, [["a", "b", "c"]]),
        ({"a": "b", "b": "a", "c": "d", "d": "ca"}, [["a", "b"], ["c", "d"]]),
    ],
)
def test_circles_are_found(graph: dict[str, str], expected: list[list[str]]) -> None:
    assert circles({name: frozenset(others) for name, others in graph.items()}) == expected
