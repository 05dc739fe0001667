"""Sixty-four labs of one scenario at once: each keeps every expectation, and none notices another."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from support.witness import until

from .conftest import Scale
from .traces import names, processes

SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"


def test_labs_at_once(anyones: Any, scale: Scale, figure: Callable[[str], None]) -> None:
    """All stand together; then each is probed, both families, while the others are."""
    count = scale(8, 64)
    labs = [anyones.name() for _ in range(count)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda lab: anyones("up", "-q", SEED, "--name", lab), labs))
        standing = {line.split()[0] for line in anyones("ls").stdout.splitlines()}
        assert set(labs) <= standing

        def probe(lab: str) -> list[tuple[str, str]]:
            lines = anyones("probe", "--json", lab, "client -> host:80,443").stdout.splitlines()
            return [(journey["outcome"], journey["path"]) for journey in map(json.loads, lines)]

        answers = list(pool.map(probe, labs))
        list(pool.map(lambda lab: anyones("down", lab), labs))
    assert answers == [answers[0]] * count
    assert {outcome for outcome, _ in answers[0]} == {"ok"}
    until(lambda: not processes(anyones.state / "labs"), "every process of every lab is gone")
    assert list(names(anyones.state / "labs")) == []
    figure(f"{count} labs at once, {len(answers[0])} flows each: all alike")


def test_verified_at_once(anyones: Any, scale: Scale, figure: Callable[[str], None], tmp_path: Path) -> None:
    """The same scenario under many names, verified side by side by one command."""
    count = scale(8, 64)
    folder = anyones.state / "copies"
    folder.mkdir(mode=0o755)
    files = []
    for number in range(count):
        files.append(folder / f"copy{number}.yaml")
        files[-1].write_bytes(SEED.read_bytes())
    done = anyones("verify", "--json", "-j", "64", *files)
    for file in files:
        file.unlink()
    folder.rmdir()
    report = json.loads(done.stdout)
    assert len(report["scenarios"]) == count
    until(lambda: not processes(anyones.state / "labs"), "every process of every lab is gone")
    assert list(names(anyones.state / "labs")) == []
    figure(f"{count} labs verified at once, {os.getloadavg()[0]:.0f} processes at work: all as expected")
