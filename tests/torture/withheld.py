"""A kernel that lacks something, as a program and all its children see it: ``withheld(paths, families)``.

Files cannot be hidden by mounts from whoever mounts a /proc of his own, as a lab does. So a seccomp filter
(seccomp_unotify(2)) asks this process about every path that is opened, and the answer for those
that are withheld is ENOENT. Sockets of a family that is withheld are EAFNOSUPPORT, without asking.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import select
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

# asm/unistd_64.h, asm-generic/unistd.h: openat, faccessat, faccessat2, whose second argument is the path, and
# access, whose first is; socket. Not stat: whoever waits for our answer can be interrupted by a signal, and
# Python begins anew only what opens (PEP 475).
_BY_PATH = {"x86_64": (257, 269, 439, 21), "aarch64": (56, 48, 439)}[os.uname().machine]
_PATH_FIRST = {"x86_64": 21}.get(os.uname().machine)
_SOCKET = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
_SECCOMP = {"x86_64": 317, "aarch64": 277}[os.uname().machine]
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_ALLOW, _ERRNO, _ASK = 0x7FFF0000, 0x00050000, 0x7FC00000  # SECCOMP_RET_*
_NUMBER, _FIRST_ARGUMENT = 0, 16  # in struct seccomp_data
_SET_FILTER, _NEW_LISTENER = 1, 8
#: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (5.19): once we read a question, only SIGKILL ends the wait for the
#: answer. Else a signal breaks off the listing of a folder, which no kernel that lacks something does.
_WAIT_KILLABLE = 32
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1  # SECCOMP_IOCTL_NOTIF_*, SECCOMP_USER_NOTIF_FLAG_*
_QUESTION, _ANSWER = struct.Struct("=QIIIIQ6Q"), struct.Struct("=QqiI")
_libc = ctypes.CDLL(None, use_errno=True)


def _filter(families: tuple[int, ...]) -> bytes:
    program = [(_LOAD, 0, 0, _NUMBER)]
    for number in _BY_PATH:
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ASK)]
    if families:
        program += [(_EQUAL, 1, 0, _SOCKET), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
        for family in families:
            program += [(_EQUAL, 0, 1, family), (_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT)]
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *step) for step in program)


class Withheld:
    """The options of :class:`subprocess.Popen` for one program; answers for as long as it is entered."""

    def __init__(self, paths: str, families: tuple[int, ...] = ()) -> None:
        self._paths = re.compile(paths)
        self._code = _filter(families)
        self._ours, self._theirs = socket.socketpair()
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve)
        self.asked: set[str] = set()  #: what was looked for, and withheld

    def install(self) -> None:
        """In the child, before it becomes the program (``preexec_fn``)."""
        buffer = ctypes.create_string_buffer(self._code, len(self._code))
        fprog = ctypes.create_string_buffer(
            struct.pack("HxxxxxxP", len(self._code) // 8, ctypes.addressof(buffer))
        )
        if os.geteuid():
            _libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        fd = _libc.syscall(_SECCOMP, _SET_FILTER, _NEW_LISTENER | _WAIT_KILLABLE, fprog)
        assert fd >= 0, os.strerror(ctypes.get_errno())
        socket.send_fds(self._theirs, [b"x"], [fd])

    def __enter__(self) -> Withheld:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stopped)
        self._thread.join()
        os.close(self._stop)
        self._ours.close()
        self._theirs.close()

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._stop)
        poll.register(self._ours, select.POLLIN)
        listener = -1
        while True:
            for fd, mask in poll.poll():
                if fd == self._stop:
                    if listener >= 0:
                        os.close(listener)
                    return
                if fd == self._ours.fileno():
                    listener = socket.recv_fds(self._ours, 1, 1)[1][0]
                    poll.unregister(self._ours)
                    poll.register(listener, select.POLLIN)
                elif mask & select.POLLIN:
                    self._answer(listener)
                else:  # nobody is left who could ask
                    poll.unregister(listener)

    def _answer(self, listener: int) -> None:
        question = bytearray(_QUESTION.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, question)
            number, pid, _, call, _, _, first, second, *_ = _QUESTION.unpack(question)
            missing = self._is_withheld(pid, first if call == _PATH_FIRST else second)
            code, flags = (-errno.ENOENT, 0) if missing else (0, _CONTINUE)
            fcntl.ioctl(listener, _SEND, bytearray(_ANSWER.pack(number, 0, code, flags)))
        except OSError as error:
            if error.errno != errno.ENOENT:  # killed while it asked
                raise

    def _is_withheld(self, pid: int, where: int) -> bool:
        try:
            fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            path = b""
            while (
                b"\0" not in path and len(path) < 4096
            ):  # not across the end of the page, which may be the last
                at = where + len(path)
                path += os.pread(fd, 4096 - at % 4096, at)
        except OSError:
            return False
        finally:
            os.close(fd)
        text = path.partition(b"\0")[0].decode(errors="replace")
        if self._paths.search(text) is None:
            return False
        self.asked.add(text)
        return True


@contextlib.contextmanager
def withheld(paths: str, families: tuple[int, ...] = ()) -> Iterator[dict[str, Any]]:
    """Options for Popen: the program finds no file whose path ``paths`` (a pattern) is found in."""
    with Withheld(paths, families) as one:
        yield {"preexec_fn": one.install}
