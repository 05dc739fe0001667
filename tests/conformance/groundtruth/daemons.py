"""Which daemons there are: the machine's own, and those of other Debian suites, each in a root of its own.

``python3 tests/conformance/groundtruth/daemons.py make [SUITE…]`` makes the roots with debootstrap from the
mirror that apt uses (root, some minutes, 500 MB each). They are kept in ``$NETLAB_CONFORMANCE_CACHE``, by
default ``/var/cache/netlab-conformance``; a root that is there is used by every later run.
``podman [SUITE…]`` makes those of Podman, which have a name of their own (``podman-trixie``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("NETLAB_CONFORMANCE_CACHE", "/var/cache/netlab-conformance"))
PACKAGES = "docker.io,iptables,nftables,iproute2,ufw,ca-certificates"
PROGRAM = "usr/sbin/dockerd"
COMPOSE = "usr/libexec/docker/cli-plugins/docker-compose"
#: What one suite has beyond them: the one Compose that every daemon is asked with.
MORE = {"trixie": ("docker-compose", COMPOSE)}
#: A root without one of these was made before the list of packages had it.
NEEDED = (PROGRAM, "usr/sbin/ufw", "usr/sbin/nft")

#: Of Podman, without its recommendations: they are not needed, and netavark and aardvark-dns are among them.
PODMAN_PACKAGES = "podman,netavark,aardvark-dns,conmon,crun,iptables,nftables,iproute2,ufw,ca-certificates"
PODMAN_PROGRAM = "usr/bin/podman"
#: Suites (Debian 13, unstable) whose Podman is another than the machine's.
PODMAN_SUITES = ("trixie", "sid")


@dataclass(frozen=True, slots=True)
class Installed:
    """A dockerd: the root file system that it runs from, and the engine whose behaviour is its."""

    engine: str  #: ``docker-20.10``
    version: str  #: ``20.10.24``
    lower: str  #: ``/`` or a chroot


#: Suites (Debian 12, 13, unstable) whose docker.io is a generation that netlab has, and which.
SUITES = {"bookworm": "docker-20.10", "trixie": "docker-26", "sid": "docker-28"}


def generation(version: str) -> str:
    """``20.10.24+dfsg1`` -> ``docker-20.10``; ``26.1.5`` -> ``docker-26``."""
    major, minor = version.split(".")[:2]
    return f"docker-{major}.{minor}" if int(major) < 23 else f"docker-{major}"


def _installed(lower: Path) -> Installed | None:
    if not (lower / PROGRAM).exists():
        return None
    words = subprocess.run(
        ["chroot", str(lower), f"/{PROGRAM}", "--version"], capture_output=True, text=True, check=True
    ).stdout  # Docker version 20.10.24+dfsg1, build 5d6db84
    version = words.split("version ")[1].split(",")[0].split("+")[0]
    return Installed(generation(version), version, str(lower))


def installed(cache: Path = CACHE) -> list[Installed]:
    """Every daemon that can be had here, the machine's own first; one a generation."""
    roots = [Path("/"), *(cache / suite for suite in SUITES)]
    found: dict[str, Installed] = {}
    for root in roots:
        daemon = _installed(root)
        if daemon:
            found.setdefault(daemon.engine, daemon)
    return list(found.values())


def mirror() -> str:
    """The archive that this machine's apt takes Debian from."""
    lines = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for line in lines:
        address, _, names = line.partition(" ")
        if names == "Debian Debian":
            return address
    raise SystemExit("apt knows no Debian archive: run apt-get update")


def make(suite: str, cache: Path = CACHE) -> Path:
    """debootstrap that suite with its docker.io into the cache; a root that is complete is left alone."""
    package, program = MORE.get(suite, ("", PROGRAM))
    return _make(suite, cache / suite, f"{PACKAGES},{package}".rstrip(","), (*NEEDED, program))


def podman_roots(cache: Path = CACHE) -> list[Path]:
    """The roots of Podman that there are."""
    roots = (cache / f"podman-{suite}" for suite in PODMAN_SUITES)
    return [root for root in roots if (root / PODMAN_PROGRAM).exists()]


def make_podman(suite: str, cache: Path = CACHE) -> Path:
    """The same of its Podman."""
    return _make(suite, cache / f"podman-{suite}", PODMAN_PACKAGES, (PODMAN_PROGRAM,))


def _make(suite: str, root: Path, packages: str, needed: Sequence[str]) -> Path:
    cache, work = root.parent, root.parent / f".{root.name}.{os.getpid()}"
    if all((root / program).exists() for program in needed):
        return root
    cache.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            [
                "debootstrap",
                "--variant=minbase",
                f"--include={packages}",
                suite,
                str(work),
                mirror(),
            ],
            check=True,
            stdout=sys.stderr,
        )
        shutil.rmtree(work / "var/cache/apt")
        if root.exists():
            shutil.rmtree(root)
        work.rename(root)
    finally:
        if work.exists():
            shutil.rmtree(work)
    return root


def made(cache: Path = CACHE) -> dict[str, str]:
    """Make, side by side, the suites of engines that are not here; by suite, why one cannot be had."""
    here = {daemon.engine for daemon in installed(cache)}
    lacking = [suite for suite, engine in SUITES.items() if engine not in here]
    if not lacking:
        return {}
    if shutil.which("debootstrap") is None:
        return dict.fromkeys(lacking, "debootstrap is not installed")
    reasons = {}
    with ThreadPoolExecutor() as pool:
        makers = {suite: pool.submit(make, suite, cache) for suite in lacking}
    for suite, maker in makers.items():
        failure = maker.exception()
        if isinstance(failure, subprocess.CalledProcessError | OSError):
            reasons[suite] = str(failure)
        elif failure is not None:
            raise failure
    return reasons


def main(arguments: Sequence[str]) -> int:
    """``make`` the roots, or list what there is."""
    if arguments == ["make"]:
        for suite, reason in made().items():
            print(f"{suite}: {reason}", file=sys.stderr)
    elif arguments[:1] == ["make"]:
        for suite in arguments[1:]:
            print(make(suite))
    elif arguments[:1] == ["podman"]:
        for suite in arguments[1:] or PODMAN_SUITES:
            print(make_podman(suite))
    elif arguments:
        print(__doc__, file=sys.stderr)
        return 2
    for daemon in installed():
        print(f"{daemon.engine}  {daemon.version}  {daemon.lower}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
