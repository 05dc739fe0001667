"""How a file begins that is an archive; imports nothing, because every verb looks at its files."""

from __future__ import annotations

#: how many bytes of a file :func:`is_archive` looks at
HEAD = 512


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so is a tar or a gzip archive."""
    return head[:2] == b"\x1f\x8b" or head[257:262] == b"ustar"
