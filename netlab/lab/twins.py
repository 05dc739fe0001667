"""From a collection to the scenario of its host, which is loaded on the way, and to its plans."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from netlab.engine.contract import HostFacts
from netlab.lab.load import load_scenario
from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError
from netlab.plan import make
from netlab.plan.build import EngineOnHost, fold
from netlab.scenario import Sources
from netlab.scenario.reader import FILE_LIMIT
from netlab.twin.archive import Collection, CollectionError
from netlab.twin.draft import SCENARIO, Draft, draft, folder
from netlab.twin.read_host import read_host
from netlab.twin.rules import rules_of
from netlab.twin.twin_podman import with_found_ids


class Twin:
    """The scenario of a collected host: its files by name, and what its engine alone would have left."""

    def __init__(self, collection: Collection) -> None:
        """Raises CollectionError if no scenario can be made of it."""
        self.drafted: Draft = draft(read_host(collection))
        #: what the engine alone would have left on the host
        self.facts: HostFacts = with_found_ids(_engine(collection, self.drafted).facts, self.drafted.host)
        self.rules = rules_of(self.drafted.host, self.facts)
        self.files: Mapping[str, str] = folder(self.drafted, self.rules)
        for name, text in self.files.items():
            size = len(text.encode("utf-8", "surrogateescape"))
            if size > FILE_LIMIT:
                what = f"{name} of its twin would have {size:,} bytes"
                raise CollectionError(
                    f"{collection.origin}: {what}: a scenario's file may have {FILE_LIMIT:,}"
                )

    def plans(self) -> tuple[Plan, Plan]:
        """The plan with the rules that the engine would write, and the one with those that were found."""
        with written(self.files, "twin") as place:
            sources = [Sources([place])]
            found = load_scenario([place], sources=sources)
            expected = load_scenario([place], sources=sources, engine=found.hosts[0].engine)
            return make(expected), make(found)


def _engine(collection: Collection, drafted: Draft) -> EngineOnHost:
    with written(folder(drafted), "twin") as place:
        try:
            scenario = load_scenario([place], sources=[Sources([place])])
            return fold(scenario, scenario.hosts[0])
        except ScenarioError as error:
            said = "; ".join(problem.message for problem in error.problems[:5])
            raise CollectionError(f"{collection.origin}: no scenario can be made of it: {said}") from None


@contextmanager
def written(files: Mapping[str, str], name: str) -> Iterator[str]:
    """A temporary folder with these files; gives the scenario's path. ``name``: that of the folder."""
    with TemporaryDirectory(prefix="netlab-twin-") as top:
        place = os.path.join(top, name)
        write_folder(files, place)
        yield os.path.join(place, SCENARIO)


def write_folder(files: Mapping[str, str], place: str) -> None:
    """Write a new folder; raises FileExistsError if it is there already."""
    os.mkdir(place)
    for name, text in files.items():
        path = os.path.join(place, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "x", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
