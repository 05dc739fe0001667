"""From files to a checked scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from netlab.model.errors import ScenarioError, UsageError
from netlab.model.scenario import Scenario, ScenarioEvent
from netlab.scenario import compose_shapes
from netlab.scenario.events import parse_event
from netlab.scenario.expect import read_expectations
from netlab.scenario.files import Folder
from netlab.scenario.hosts import Overrides, read_hosts, read_outside
from netlab.scenario.names import folder_of, lab_name, normalised_project, wrong_lab_name, wrong_project
from netlab.scenario.netlab_shapes import NETLAB
from netlab.scenario.networks import predefined, read_network
from netlab.scenario.reader import read, read_bytes
from netlab.scenario.services import Draft, read_service
from netlab.scenario.tree import Mark, Report, Value, hint, shown

COMPOSE = compose_shapes.compose(NETLAB)


def load(
    files: Sequence[str | Path],
    *,
    environ: Mapping[str, str] | None = None,
    project_name: str | None = None,
    profiles: Sequence[str] = (),
    overrides: Overrides | None = None,
    allow_outside_files: bool = False,
) -> Scenario:
    """The scenario in ``files``, merged from left to right by Compose's rules.

    ``environ`` is the environment that Compose would see (the process's own is never looked at).
    Files that x-netlab refers to must stand below the first file's folder, unless
    ``allow_outside_files``. Raises ScenarioError with every problem there is, UsageError without files.
    """
    if not files:
        raise UsageError("no scenario file was given")
    overrides = overrides or Overrides()
    environ = dict(environ or {})
    report = Report()
    paths = [Path(file) for file in files]
    shown_as = [str(file) for file in files]
    root = read(read_bytes(paths[0], shown_as[0]), shown_as[0])
    checked = COMPOSE.clean(root, "", report)
    if checked is None:
        report.raise_if_any()
        assert checked is not None
    project = project_name or normalised_project(folder_of(paths[0]).resolve().name)
    name = overrides.name or lab_name(paths[0])
    folder = Folder(folder_of(paths[0]), allow_outside_files)
    scenario = _build(checked, name, project, tuple(shown_as), overrides, folder, report)
    report.raise_if_any()
    return scenario


def _build(
    root: Value,
    name: str,
    project: str,
    files: tuple[str, ...],
    overrides: Overrides,
    folder: Folder,
    report: Report,
) -> Scenario:
    empty = Value({}, root.at)
    netlab = root.get("x-netlab") or empty
    at = root.key_at("x-netlab")
    hosts = read_hosts(netlab, at, overrides, lambda value: folder.read(value, report), report)
    outside = read_outside(netlab, at, hosts, report)
    extras = netlab.get("services") or empty
    services = root.get("services") or empty
    drafts = [
        read_service(key, services.key_at(key), value, extras.get(key), report)
        for key, value in services.pairs()
    ]
    written = root.get("networks") or empty
    facts = netlab.get("networks") or empty
    used = {attachment.network for draft in drafts for attachment in draft.service.networks}
    networks = [
        read_network(key, value, written.key_at(key), project, facts.get(key), report)
        for key, value in written.pairs()
        if key in used
    ]
    if "default" in used and "default" not in written.map:
        networks.append(read_network("default", None, services.at, project, None, report))
    expectations = read_expectations(netlab.get("expect"), report)
    return Scenario(
        name=name,
        project=project,
        files=files,
        hosts=hosts,
        outside=outside,
        networks=tuple(networks),
        services=tuple(draft.service for draft in drafts),
        events=_events(netlab.get("events"), report),
        expect=tuple(expectation for expectation, _ in expectations),
    )


def _events(value: Value | None, report: Report) -> tuple[ScenarioEvent, ...]:
    found = []
    for item in value or ():
        try:
            found.append(parse_event(item.text, item.position))
        except ScenarioError as error:
            report.problems.extend(error.problems)
    return tuple(found)
