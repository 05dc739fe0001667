"""In a container that shows less of the machine than there is: labs work as far as they can, and say so.

Such a container is made of two user namespaces: what the outer one covers or makes read-only, the inner one
cannot undo (mount_namespaces(7), "Restrictions on mount namespaces").
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SEED = ROOT / "scenarios" / "httpd.yaml"


def contained(netlab: Any, hide: str, *commands: tuple[str, ...]) -> list[subprocess.CompletedProcess[str]]:
    """Run netlab's commands, one after the other, in a container in which ``hide`` was done."""
    script = "\n".join(
        f"{sys.executable} -m netlab {' '.join(words)}; echo \"== $?\"; echo '==' >&2" for words in commands
    )
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", f'{hide}\nexec unshare -Urm sh -c "$0"', script],
        cwd=ROOT,
        env=netlab.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    outs, errs = done.stdout.split("== ")[:-1], done.stderr.split("==\n")
    codes = [int(part.split("\n")[0]) for part in done.stdout.split("== ")[1:]]
    assert len(codes) == len(commands), done
    outs = [outs[0], *(part.partition("\n")[2] for part in outs[1:])]
    return [subprocess.CompletedProcess([], *one) for one in zip(codes, outs, errs, strict=False)]


@pytest.mark.parametrize(
    ("hide", "shown"),
    [
        ("true", ["eth0", "lo"]),
        ("mount -o remount,bind,ro /sys", ["eth0", "lo"]),
        ("mount -t tmpfs covered /sys/firmware", []),
    ],
    ids=["all", "read-only", "covered"],
)
def test_the_sys_of_a_node_is_its_own_or_empty(netlab: Any, hide: str, shown: list[str]) -> None:
    lab = netlab.name()
    up, listed, flow, down = contained(
        netlab,
        hide,
        ("up", "-q", str(SEED), "--name", lab),
        ("exec", f"{lab}.httpd", "--", "ls", "/sys/class/net"),
        ("probe", lab, "'client -> host:80'", "-4"),
        ("down", lab),
    )
    assert up.returncode == 0, up.stderr
    assert listed.stdout.split() == shown, listed.stderr
    assert flow.returncode == 0, flow.stderr
    assert "ok" in flow.stdout
    assert down.returncode == 0


def test_a_covered_proc_is_said_to_be_in_the_way(netlab: Any) -> None:
    lab = netlab.name()
    (up,) = contained(netlab, "mount --bind /dev/null /proc/kallsyms", ("up", "-q", str(SEED), "--name", lab))
    assert up.returncode == 4, up.stderr
    assert "systempaths=unconfined" in up.stderr
    assert "Traceback" not in up.stderr
    assert not os.path.exists(netlab.state / "labs" / lab)
