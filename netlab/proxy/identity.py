"""The name that ``ss``, ``ps``, ``lsof`` and ``netstat`` show for a process.

``ss -p`` and ``lsof`` read the command name (PR_SET_NAME), ``netstat -p`` and ``ps`` the argument vector. The
latter is a range of the process's memory, which PR_SET_MM_MAP moves without privileges (prctl(2),
kernel/sys.c ``prctl_set_mm_map``; needs CONFIG_CHECKPOINT_RESTORE); otherwise, the old range is overwritten.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_MM = 35
PR_SET_MM_MAP = 14

#: The memory from which the kernel reads the argument vector, as long as the process runs.
_arguments: Any = None


def rename(argv: tuple[str, ...] | list[str]) -> None:
    """Appear as the program ``argv[0]`` with these arguments; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NAME, argv[0].encode(), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"setting the command name: {os.strerror(code)}")
    text = b"".join(os.fsencode(argument) + b"\0" for argument in argv)
    bounds = _bounds()
    if not _move(libc, text, bounds):
        size = bounds["arg_end"] - bounds["arg_start"]
        ctypes.memmove(bounds["arg_start"], text[: size - 1].ljust(size, b"\0"), size)


def end_with_parent(parent: int) -> None:
    """Be killed when ``parent`` (a process id, the caller's parent) ends; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"asking to end with the parent: {os.strerror(code)}")
    if os.getppid() != parent:
        os._exit(0)


def _bounds() -> dict[str, int]:
    """Where the parts of this process lie, from /proc/self/stat (proc(5); numbers count from 1)."""
    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - pathlib costs 9 ms to import
        fields = file.read().rpartition(b")")[2].split()
    places = {
        "start_code": 26,
        "end_code": 27,
        "start_stack": 28,
        "start_data": 45,
        "end_data": 46,
        "start_brk": 47,
        "arg_start": 48,
        "arg_end": 49,
        "env_start": 50,
        "env_end": 51,
    }
    return {name: int(fields[number - 3]) for name, number in places.items()}


def _move(libc: Any, text: bytes, bounds: dict[str, int]) -> bool:
    """Point the kernel at a new argument vector; False if that is unsupported."""
    global _arguments
    new = ctypes.create_string_buffer(text, len(text))
    start = ctypes.addressof(new)
    libc.sbrk.restype = ctypes.c_void_p
    # struct prctl_mm_map (linux/prctl.h): eleven u64, no new auxv (pointer, size), no new executable (-1)
    names = (
        *("start_code", "end_code", "start_data", "end_data", "start_brk", "brk", "start_stack"),
        *("arg_start", "arg_end", "env_start", "env_end"),
    )
    values = {**bounds, "brk": libc.sbrk(0), "arg_start": start, "arg_end": start + len(text)}
    numbers = [values[name] for name in names]
    block = (ctypes.c_uint64 * 13)(*numbers, 0, 0xFFFFFFFF << 32)
    result = libc.prctl(PR_SET_MM, PR_SET_MM_MAP, ctypes.byref(block), ctypes.sizeof(block), 0)
    if result == 0:
        _arguments = new
    return bool(result == 0)
