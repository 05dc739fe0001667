"""A real dockerd in a testbed: start it, stop it, give it an image."""

from __future__ import annotations

import io
import json
import os
import select
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from netlab.bench.real.api import ApiError, Docker
from netlab.bench.real.testbed import CGROUP, Testbed, sweep_cgroups
from netlab.model.scenario import JsonValue

IMAGE = "netlab:latest"
SOCKET = "/run/docker.sock"
START_SECONDS = 60.0


class DaemonError(Exception):
    """dockerd did not start, or did not stop; the text ends in its own last words."""


def image_tar() -> bytes:
    """An image of one static program, as ``docker import`` takes it."""
    busybox = Path("/bin/busybox").read_bytes()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("etc", "proc", "sys", "dev", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        entry = tarfile.TarInfo("busybox")
        entry.size, entry.mode = len(busybox), 0o755
        tar.addfile(entry, io.BytesIO(busybox))
    return out.getvalue()


class Daemon:
    """dockerd of one testbed, with one configuration; ``start`` and ``stop`` may be repeated."""

    def __init__(
        self, testbed: Testbed, config: Mapping[str, JsonValue], environment: Mapping[str, str] | None = None
    ) -> None:
        self.testbed = testbed
        self.api = Docker(f"{testbed.root}{SOCKET}")
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the daemon
        self._cgroup = f"/{CGROUP}-{os.getpid()}-{testbed.pid}"
        self._config = dict(config)
        self.configure({})

    def configure(self, settings: Mapping[str, JsonValue]) -> None:
        """Change daemon.json, which the next start reads; None takes a key out."""
        self._config = {key: v for key, v in {**self._config, **settings}.items() if v is not None}
        self._write("/run/state/daemon.json", json.dumps(self._config))

    def _write(self, path: str, text: str) -> None:
        self.testbed.run(["tee", path], stdin=text)

    @property
    def running(self) -> bool:
        """Whether dockerd was started and did not end."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """Everything that dockerd said."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def start(self) -> None:
        """Start dockerd and wait until it answers; DaemonError with its last words if it ends instead."""
        self._process = subprocess.Popen(
            self.testbed.argv(
                [
                    *("env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                    *(f"{key}={value}" for key, value in self._environment.items()),
                    "dockerd",
                    *("--config-file", "/run/state/daemon.json", "--data-root", "/run/state/data"),
                    *(
                        "--exec-root",
                        "/run/docker",
                        "--host",
                        f"unix://{SOCKET}",
                        "--pidfile",
                        "/run/docker.pid",
                    ),
                    *("--storage-driver", "vfs", "--exec-opt", "native.cgroupdriver=cgroupfs"),
                    *("--cgroup-parent", self._cgroup),
                ]
            ),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        ended = os.pidfd_open(self._process.pid)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not self._answers():
                # the end of the process, or a moment: dockerd announces readiness only to systemd
                if select.select([ended], [], [], 0.01)[0]:
                    raise DaemonError(f"dockerd ended with {self._process.wait()}: {self._last_words()}")
                if time.monotonic() > deadline:
                    raise DaemonError(
                        f"dockerd did not answer within {START_SECONDS:.0f} s: {self._last_words()}"
                    )
        finally:
            os.close(ended)

    def _answers(self) -> bool:
        try:
            return bool(self.api.get("/_ping") == "OK")
        except (OSError, ApiError):
            return False

    def _last_words(self) -> str:
        return "\n".join(self.log().splitlines()[-6:])

    def load_image(self) -> None:
        """``docker import`` of the one image."""
        self.api.call("POST", "/images/create", image_tar(), {"fromSrc": "-", "repo": "netlab"})

    def version(self) -> str:
        """``20.10.24+dfsg1``: the daemon's own word."""
        return str(self.api.get("/version")["Version"])

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        if self._process is None:
            return
        if self._process.poll() is None:
            pid = self.testbed.run(["cat", "/run/docker.pid"]).strip()
            self.testbed.run(["kill", "-TERM", pid])
            self._process.wait(timeout=60)
        self._process = None

    def kill(self) -> None:
        """End everything with the testbed (no clean stop: what it left in the testbed goes with it)."""
        self.testbed.close()
        if self._process is not None:
            self._process.wait(timeout=60)
        self._log.close()
        sweep_cgroups(self._cgroup)
