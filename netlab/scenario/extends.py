"""``extends``: a service takes over another one's definition, from this file or another.

Source: the Compose specification ("extends") and compose-go's ``loader/extends.go``. A path is relative to
the project's folder, and within an extended file to that file's.
"""

from __future__ import annotations

from collections.abc import Callable

from netlab.model.problem import Position
from netlab.scenario.merge import merge, without_resets
from netlab.scenario.places import Place
from netlab.scenario.tree import Report, Value, hint, shown

CHAIN_LIMIT = 64  #: services that extend one another
#: a file, interpolated; None after a reported problem
Fetch = Callable[[Place, Position], Value | None]


def apply_extends(root: Value, file: Place, folder: Place, fetch: Fetch, report: Report) -> Value:
    """The file's tree with every ``extends`` followed to its end."""
    services = root.get("services")
    if services is None or not any(entry.get("extends") is not None for _, entry in services.pairs()):
        return root
    chain = _Chain(fetch, report)
    scope = _Scope(services, file.key, folder)
    extended: dict[str, Value] = {}
    for name, entry in services.pairs():
        extended[name] = chain.service(scope, name, entry, 0) or entry
    return root.with_data({**root.map, "services": services.with_data({**extended})})


class _Scope:
    """The services of one file, and the folder from which its paths go out."""

    __slots__ = ("folder", "key", "services")

    def __init__(self, services: Value, key: str, folder: Place) -> None:
        self.services = services
        self.key = key
        self.folder = folder


class _Chain:
    def __init__(self, fetch: Fetch, report: Report) -> None:
        self.fetch = fetch
        self.report = report
        #: by file and service; None while it is being worked on
        self.done: dict[tuple[str, str], Value | None] = {}

    def service(self, scope: _Scope, name: str, entry: Value, depth: int) -> Value | None:
        written = entry.get("extends")
        if written is None:
            return entry
        key = (scope.key, name)
        if key in self.done:
            if self.done[key] is None:
                self.report.add(written.at, f"services.{name} extends itself")
            return self.done[key]
        if depth >= CHAIN_LIMIT:
            self.report.add(written.at, f"services extend one another more than {CHAIN_LIMIT} deep")
            return None
        self.done[key] = None
        base = self._base(scope, name, written, depth)
        own = entry.with_data({key: value for key, value in entry.pairs() if key != "extends"})
        made = own if base is None else merge(without_resets(base), own, self.report, ("services", name))
        self.done[key] = made
        return made

    def _base(self, scope: _Scope, name: str, written: Value, depth: int) -> Value | None:
        reference = written if isinstance(written.data, str) else written.get("service")
        if reference is None or not isinstance(reference.data, str):
            self.report.add(written.at, f"services.{name}.extends needs the name of a service")
            return None
        target, where = scope, ""
        file = written.get("file")
        if file is not None:
            other = self._other(scope, name, file)
            if other is None:
                return None
            target, where = other, f" in {shown(file.text)}"
        found = target.services.get(reference.text)
        if found is None or not isinstance(found.data, dict):
            more = hint(reference.text, (key for key, _ in target.services.pairs()))
            what = f"services.{name} extends {shown(reference.text)}, which is not a service{where}{more}"
            self.report.add(reference.at, what)
            return None
        return self.service(target, reference.text, found, depth + 1)

    def _other(self, scope: _Scope, name: str, file: Value) -> _Scope | None:
        if not isinstance(file.data, str) or not file.data or "\0" in file.data:
            self.report.add(file.at, f"services.{name}.extends.file must be a path, not {file.kind}")
            return None
        place = scope.folder.below(file.text)
        root = self.fetch(place, file.position)
        if root is None:
            return None
        return _Scope(root.get("services") or Value({}, root.at), place.key, place.parent)
