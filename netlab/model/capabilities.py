"""The capabilities of programs in containers, by Docker's names (include/uapi/linux/capability.h)."""

from __future__ import annotations

#: What a sandbox can give to a program: name → number.
NUMBERS = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7,
    "SETPCAP": 8, "NET_BIND_SERVICE": 10, "NET_BROADCAST": 11, "NET_ADMIN": 12, "NET_RAW": 13,
    "SYS_CHROOT": 18, "MKNOD": 27, "AUDIT_WRITE": 29, "SETFCAP": 31,
}  # fmt: skip
#: Those that a container has only if it asks for them.
EXTRA = ("NET_ADMIN", "NET_BROADCAST")
#: Docker's default set (moby oci/caps/defaults.go).
DEFAULT = tuple(name for name in NUMBERS if name not in EXTRA)
