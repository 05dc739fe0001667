"""An engine of other processes and machines: a cluster of dask.distributed.

Its client is an executor of :mod:`concurrent.futures`, so the sweep is the same. What dask gives beside that:
the tasks of a worker that dies are done by others, and a task that is no longer wanted can see it. Each task
is a process of its own (:mod:`netlab.lab.sweep.worker`), which ends with its worker.
"""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from netlab.first_use import at_first_use
from netlab.model.errors import MachineError, NetlabError, UsageError
from netlab.model.near import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.lab.sweep.sweep import Item

T = TypeVar("T")

#: Imported where somebody asks for a cluster, and on its workers: it is no dependency of netlab.
_distributed: Any = at_first_use(__name__, dict.fromkeys(("Client", "get_worker"), "distributed"))
_SCHEME = "dask://"
#: Seconds until a scheduler that does not answer is given up, and between looks at what runs.
PATIENCE, LOOK = 10.0, 0.1
#: Seconds that workers may take to end what was cancelled.
ENDING = 10.0
_WORKER = [sys.executable, "-m", "netlab.lab.sweep.worker"]
#: The processes of the tasks that run in this worker.
_running: set[int] = set()


def address_of(text: str) -> str:
    """``tcp://HOST:PORT`` of ``dask://HOST:PORT``; raises UsageError."""
    if not text.startswith(_SCHEME):
        scheme = text.partition("://")[0] if "://" in text else ""
        near = " (did you mean dask://?)" if nearest(scheme, ["dask"]) else ""
        raise UsageError(f"--on {text!r} is not dask://HOST:PORT{near}")
    host, colon, port = text.removeprefix(_SCHEME).rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"--on {text!r} is not dask://HOST:PORT, such as dask://192.0.2.1:8786")
    return f"tcp://{host}:{port}"


class Cluster:
    """The workers of a scheduler that can do the work.

    Raises UsageError for what is no address, MachineError without dask.distributed, without an answer, and if
    no worker can do the work.
    """

    def __init__(self, text: str, say: Callable[[str], None], *, labs: bool) -> None:
        """``labs``: the work builds labs, so workers that may not are told of with ``say``, and not used."""
        address = address_of(text)
        try:
            make = _distributed("Client")
        except ImportError:
            raise MachineError(
                "--on needs dask.distributed, which is not installed: pip install 'netlab[dask]'"
            ) from None
        try:
            self._client = make(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise MachineError(f"no scheduler of dask answers at {text}: {error}") from None
        try:
            self._workers = self._able(text, say, labs=labs)
        except BaseException:
            self._client.close()
            raise
        self._executor = self._client.get_executor(
            pure=False, workers=self._workers, allow_other_workers=False
        )
        self._here = ThreadPoolExecutor(1)
        self._stopped = False

    def _able(self, text: str, say: Callable[[str], None], *, labs: bool) -> list[str]:
        known = list(self._client.scheduler_info(n_workers=-1)["workers"])
        if not known:
            raise MachineError(f"the scheduler at {text} has no workers")
        found = self._client.run(lacks, labs, on_error="return")
        able = []
        for name in sorted(known):
            problem = found.get(name, "it has ended")
            if not problem:
                able.append(name)
                continue
            say(f"{name} is not used: {problem if isinstance(problem, str) else _words(problem)}")
        if not able:
            raise MachineError(f"no worker at {text} can do this")
        return able

    def submit(self, item: Item[Any]) -> Future[Any]:
        """Send an item to whichever worker has room; what can only be done here is done in a thread."""
        if item.parcel is None:
            return self._here.submit(item.here)
        sent: Future[Any] = self._executor.submit(do, item.parcel())
        return sent

    def result(self, item: Item[T], future: Future[Any]) -> T:
        """The result of an item that is done; raises its error."""
        if item.parcel is None or item.opened is None:
            found: T = future.result()
            return found
        try:
            answer = future.result()
        except (NetlabError, KeyboardInterrupt):
            raise
        except (Exception, SystemExit) as error:  # a worker that died again and again, or a bug in one
            raise MachineError(f"{item.label}: no worker has done it: {_words(error)}") from error
        return item.opened(answer)

    def check(self) -> None:
        """Raise MachineError if all workers that could do the work have ended, or the scheduler has."""
        try:
            left = self._client.nthreads()
        except Exception as error:
            raise MachineError(f"the scheduler of dask is gone: {_words(error)}") from error
        if not any(name in left for name in self._workers):
            raise MachineError("all workers have ended that could do this")

    def stop(self) -> None:
        """Cancel everything, and wait until the workers have ended what they did."""
        if self._stopped:
            return
        self._stopped = True
        self._here.shutdown(cancel_futures=True)
        end = time.monotonic() + ENDING
        try:
            self._executor.shutdown(wait=False)
            while time.monotonic() < end and self._busy():
                select.select([], [], [], LOOK)
        except Exception as error:
            raise MachineError(f"cancelling what runs on the workers: {_words(error)}") from error
        finally:
            self._client.close()

    def _busy(self) -> bool:
        found = self._client.run(running, on_error="return")
        return any(number is True for number in found.values())

    def close(self) -> None:
        """Leave the cluster."""
        self._here.shutdown()
        self._executor.shutdown()
        self._client.close()


def _words(error: object) -> str:
    """An exception of somebody else's in one line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


# -- what the workers call


async def lacks(labs: bool) -> str:
    """Why this worker cannot do the work; empty if it can. ``labs``: the work builds labs."""
    if not labs:
        return ""
    process = await asyncio.create_subprocess_exec(
        *_WORKER, str(os.getpid()), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode == 0:
        return out.decode(errors="replace")
    return (err.decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"])[-1]


def running() -> bool:
    """Whether a task's process runs in this worker."""
    return bool(_running)


def do(parcel: str) -> str:
    """Open a parcel in a process of its own; the text of its answer.

    It is killed, and its lab goes with it, if nobody wants the answer any more, or if this worker ends.
    """
    worker = _distributed("get_worker")()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state in ("executing", "long-running")

    with tempfile.TemporaryDirectory(prefix="netlab-", dir=worker.local_directory) as folder:
        return _attended([*_WORKER, str(os.getpid()), folder], parcel, wanted)


def _attended(argv: list[str], parcel: str, wanted: Callable[[], bool]) -> str:
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        given.write(parcel)
        given.seek(0)
        with subprocess.Popen(argv, stdin=given, stdout=out, stderr=err) as process:
            _running.add(process.pid)
            try:
                while True:
                    try:
                        code = process.wait(LOOK)
                        break
                    except subprocess.TimeoutExpired:
                        if not wanted():
                            raise MachineError("nobody wants the answer any more") from None
            finally:
                process.kill()
                process.wait()
                _running.discard(process.pid)
        out.seek(0)
        err.seek(0)
        if code != 0:
            why = (err.read().strip().splitlines() or [f"exit code {code}"])[-1]
            raise MachineError(f"the process of a task has ended: {why}")
        return out.read()
