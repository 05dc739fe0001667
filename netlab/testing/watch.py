"""What is kept of the labs that a test uses, until it is known whether it failed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from netlab.lab.client.capture import Capturing, sources_in
from netlab.lab.output_file import open_output
from netlab.model.errors import NetlabError
from netlab.view.console import console
from netlab.view.journey import journey_view, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from netlab.plan.live_rules import Rules
    from netlab.testing.labs import SuiteLab

#: No more packets of one test are written: a test with so many is about throughput.
MOST_PACKETS: Final = 50_000
#: Older journeys of a test are shown in one line each, and whole in the files.
_WHOLE_JOURNEYS: Final = 6
_COUNTER: Final = re.compile(r"counter packets (\d+)")


@dataclass
class Watch:
    """One lab, while one test uses it."""

    lab: SuiteLab
    capturing: Capturing | None = None
    output: IO[bytes] | None = None
    keep: bool = False

    @classmethod
    def begin(cls, lab: SuiteLab, *, capture: bool) -> Watch:
        """Forget what earlier tests measured, and capture every packet from now on."""
        lab.journeys.clear()
        watch = cls(lab)
        if capture:
            watch.output = tempfile.TemporaryFile()  # noqa: SIM115  closed in end()
            watch.capturing = Capturing(lab.client, sources_in(lab.plan), watch.output.fileno(), MOST_PACKETS)
        return watch

    def end(self) -> None:
        """Let go of the capture; the lab stays as it is."""
        if self.capturing is not None:
            self.capturing.abandon()
            self.capturing = None
        if self.output is not None:
            self.output.close()
            self.output = None

    def evidence(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Sections for a report, and the same as files in ``folder``."""
        name = self.lab.name
        folder.mkdir(parents=True, exist_ok=True)
        yield f"netlab: journeys in {name}", self._journeys(folder)
        for host in [node.name for node in self.lab.plan.nodes if node.kind == "host"]:
            path = folder / f"{name}.{host}.rules"
            try:
                found = self.lab.rules(host)
            except NetlabError as error:
                _write(path, f"not to be had: {error}\n")
                yield f"netlab: rules of {name}.{host}", f"not to be had: {error}"
                continue
            _write(path, f"{found}\n")
            hit = list(_hit(found)) or ["no rule was hit"]
            yield f"netlab: rules of {name}.{host} that were hit", "\n".join([*hit, f"all rules: {path}"])
        if self.capturing is not None:
            yield f"netlab: packets in {name}", self._packets(folder)

    def _journeys(self, folder: Path) -> str:
        journeys = list(self.lab.journeys)
        lines = [json.dumps(journey.to_json(), ensure_ascii=False) for journey in journeys]
        _write(folder / f"{self.lab.name}.journeys.jsonl", "".join(f"{line}\n" for line in lines))
        if not journeys:
            return "no flow was measured"
        text = StringIO()
        screen = console(text)
        for journey in journeys[:-_WHOLE_JOURNEYS]:
            screen.print(summary(journey))
        for journey in journeys[-_WHOLE_JOURNEYS:]:
            screen.print(journey_view(journey))
        return text.getvalue().rstrip()

    def _packets(self, folder: Path) -> str:
        """Copy the capture; it goes on no longer."""
        assert self.capturing is not None
        assert self.output is not None
        try:
            self.capturing.stop()
        except (NetlabError, OSError) as error:
            return f"not to be had: {error}"
        path = folder / f"{self.lab.name}.pcapng"
        self.output.seek(0)
        with open_output(path) as file:
            shutil.copyfileobj(self.output, file)
        lost = f", {self.capturing.lost} lost" if self.capturing.lost else ""
        return f"{self.capturing.packets} packets{lost}: {path}"


def _hit(rules: Rules) -> Iterator[str]:
    """The rules and policies that some packet met, with their counters and reasons."""
    for family, chains in rules.iptables.items():
        for chain in chains:
            where = f"{family.iptables} -t {chain.table}"
            for rule in chain.rules:
                if rule.packets:
                    line = f"-A {chain.name} {rule.text}".rstrip()
                    yield f"{rule.packets} packets  {where}  {line}  # {rule.reason}"
            if chain.packets and chain.policy == "DROP":
                yield f"{chain.packets} packets  {where}  -P {chain.name} DROP"
    for table in rules.native:
        chain_name = ""
        for line in table.text.splitlines():
            words = line.split()
            if words[:1] == ["chain"]:
                chain_name = words[1]
            elif (found := _COUNTER.search(line)) is not None and found[1] != "0":
                yield f"{found[1]} packets  nft {table.family} {table.name}  {chain_name}: {' '.join(words)}"


def _write(path: Path, text: str) -> None:
    with open_output(path) as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def folder_of(item: pytest.Item) -> Path:
    """Where a test's evidence goes: below ``--netlab-artifacts``, or pytest's temporary directory."""
    config = item.config
    chosen = config.getoption("netlab_artifacts")
    if chosen is not None:
        base = config.invocation_params.dir / chosen
    else:
        base = Path(config._tmp_path_factory.getbasetemp()) / "netlab"  # type: ignore[attr-defined]
    name = re.sub(r"[^\w.=,]+", "-", item.nodeid).strip("-")
    return Path(base) / _short(name)


def _short(name: str) -> str:
    """A name that every file system takes: the end of a long one is replaced by its digest."""
    if len(name) <= 150:
        return name
    return f"{name[:130]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def how_to_enter(name: str) -> str:
    """The commands with which you inspect a lab that was kept."""
    state = os.environ.get("NETLAB_STATE")
    lead = f"NETLAB_STATE={state} " if state else ""
    return f"{lead}netlab shell {name}    and then: {lead}netlab down {name}"
