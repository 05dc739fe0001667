"""The system calls that untrusted programs are refused.

They are those that Docker's default profile gives to no container without CAP_SYS_ADMIN and that reach into
the kernel (moby profiles/seccomp/default_linux.go): mounts, namespaces, modules, keys, bpf, io_uring. Sockets
are of families that belong to a network namespace: a vsock reaches the machine's hypervisor from any.
"""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from struct import pack
from typing import Any

from netlab.kernel import libc

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # include/uapi/linux/audit.h

#: name: (x86_64, aarch64)
_DIFFERENT = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "clock_settime": (227, 112),
    "delete_module": (176, 106), "finit_module": (313, 273), "init_module": (175, 105), "kcmp": (312, 272),
    "kexec_file_load": (320, 294), "kexec_load": (246, 104), "keyctl": (250, 219),
    "lookup_dcookie": (212, 18), "mount": (165, 40), "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241), "pivot_root": (155, 41),
    "quotactl": (179, 60), "reboot": (169, 142), "request_key": (249, 218), "setdomainname": (171, 162),
    "sethostname": (170, 161), "setns": (308, 268), "settimeofday": (164, 170), "swapoff": (168, 225),
    "swapon": (167, 224), "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282),
}  # fmt: skip
#: io_uring_{setup,enter,register}, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr
_SAME = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442)
#: The system calls that change the identity of a process or the owner of a file: (x86_64, aarch64)
_OWNERSHIP = {
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143),
    "setgroups": (116, 159), "setresuid": (117, 147), "setresgid": (119, 149), "setfsuid": (122, 151),
    "setfsgid": (123, 152), "fchown": (93, 55), "fchownat": (260, 54), "chown": (92, None),
    "lchown": (94, None),
}  # fmt: skip
#: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET (include/linux/socket.h)
FAMILIES = (1, 2, 10, 16, 17)
_SOCKET = (41, 198)
_CLONE = (56, 220)
_CLONE3 = 435
_NEW_NAMESPACES = 0x7E020000
_X32 = 0x40000000

# BPF (include/uapi/linux/{bpf_common,filter}.h) over struct seccomp_data: nr at 0, arch at 4, args at 16
_LOAD, _JEQ, _JGE, _JSET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return pack("=HBBI", code, yes, no, value)


@cache
def program(machine: str, *, one_id: bool = False) -> bytes:
    """The filter for an architecture as ``uname -m`` names it; empty if it is not known here.

    ``one_id``: becoming another user and giving a file away do nothing and succeed, so that a server which
    starts as root and goes on as its own user runs in a user namespace that has no other.
    """
    if machine not in _ARCHITECTURES:
        return b""
    column = 0 if machine == "x86_64" else 1
    refused = sorted({numbers[column] for numbers in _DIFFERENT.values()} | set(_SAME))
    refuse = _instruction(_RETURN, _ERRNO | errno.EPERM)
    parts = [
        _instruction(_LOAD, 4),
        _instruction(_JEQ, _ARCHITECTURES[machine], yes=1),
        refuse,
        _instruction(_LOAD, 0),
    ]
    if machine == "x86_64":
        parts += [_instruction(_JGE, _X32, no=1), refuse]
    for number in refused:
        parts += [_instruction(_JEQ, number, no=1), refuse]
    if one_id:
        for number in sorted(n[column] or 0 for n in _OWNERSHIP.values() if n[column] is not None):
            parts += [_instruction(_JEQ, number, no=1), _instruction(_RETURN, _ERRNO)]
    parts += _families(_SOCKET[column])
    # clone3 has its flags behind a pointer, invisible to seccomp; libc falls back to clone
    parts += [_instruction(_JEQ, _CLONE3, no=1), _instruction(_RETURN, _ERRNO | errno.ENOSYS)]
    parts += [
        _instruction(_JEQ, _CLONE[column], no=3),
        _instruction(_LOAD, 16),
        _instruction(_JSET, _NEW_NAMESPACES, no=1),
        refuse,
        _instruction(_RETURN, _ALLOW),
    ]
    return b"".join(parts)


def _families(socket: int) -> list[bytes]:
    """Refuse sockets of other families, with the error of a kernel that does not know them.

    Loads the number of the system call again at the end.
    """
    inside: list[bytes] = [_instruction(_LOAD, 16)]
    for left, family in zip(range(len(FAMILIES), 0, -1), FAMILIES, strict=True):
        inside.append(_instruction(_JEQ, family, yes=left))
    inside += [_instruction(_RETURN, _ERRNO | errno.EAFNOSUPPORT), _instruction(_LOAD, 0)]
    return [_instruction(_JEQ, socket, no=len(inside)), *inside]


@cache
def steps(*, one_id: bool = False) -> tuple[libc.Step, ...]:
    """Forbid these system calls for the process and all its children; needs no_new_privs.

    Does nothing on unknown architectures.
    """
    code = program(os.uname().machine, one_id=one_id)
    if not code:
        return ()
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a length of 16 bits, and a pointer on its own alignment
    head = ctypes.create_string_buffer(
        pack("@HP", len(code) // 8, ctypes.addressof(buffer)), ctypes.sizeof(ctypes.c_void_p) * 2
    )
    _alive.extend((head, buffer))
    call = libc.step_prctl(
        _PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(head), doing="installing the system call filter"
    )
    return (call,)


#: what the kernel reads when the step is made
_alive: list[Any] = []
