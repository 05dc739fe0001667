"""The archive that ``netlab collect`` or its script makes: written, and read without any trust.

An archive may come from anybody. It is unpacked into memory only: no name in it becomes a path, links and
devices are refused, and every size is limited before anything of it is read.
"""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from gzip import BadGzipFile, GzipFile

from netlab.model.archive_head import HEAD, is_archive
from netlab.model.errors import UsageError
from netlab.model.shown import shown_in_line
from netlab.twin.steps import FOLDER, FORMAT, MANIFEST

#: bytes: of the archive, of everything in it, of one file; and how many files there may be
LARGEST_ARCHIVE = 64 << 20
LARGEST = 256 << 20
LARGEST_FILE = 96 << 20
MOST_FILES = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_AT_ONCE = 1 << 20


class CollectionError(UsageError):
    """An archive is no collection, or one that cannot be used; the text says where and what."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What the manifest says of one file: ``kind`` is step, absent or skipped."""

    kind: str
    file: str
    code: int
    size: int
    program: str


@dataclass(frozen=True, slots=True)
class Collection:
    """What was collected: the contents by file name, and how it came to be.

    ``origin`` is the archive's name for messages; ``made_by`` is ``netlab`` or ``script``.
    """

    origin: str
    files: Mapping[str, str]
    ran: Mapping[str, Ran]
    made_by: str = ""
    version: str = ""

    def text(self, file: str) -> str:
        """The contents of a file; empty if there is none."""
        return self.files.get(file, "")

    @property
    def absent(self) -> tuple[str, ...]:
        """The programs that the host does not have."""
        return tuple(dict.fromkeys(one.program for one in self.ran.values() if one.kind == "absent"))

    def failed(self, file: str) -> bool:
        """Whether the command of this file ended with an error and said nothing."""
        one = self.ran.get(file)
        return one is not None and one.kind == "step" and one.code != 0 and not self.text(file)


def manifest_text(ran: Iterable[Ran], version: str) -> str:
    """The manifest of a collection that netlab made."""
    lines = [f"netlab-collection\t{FORMAT}", f"made-by\tnetlab\t{version}"]
    lines += [f"{one.kind}\t{one.file}\t{one.code}\t{one.size}\t{one.program}" for one in ran]
    return "".join(f"{line}\n" for line in (*lines, "end"))


def pack(files: Mapping[str, bytes], ran: Iterable[Ran], version: str) -> bytes:
    """A tar.gz of what was collected, without times and owners."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=6) as tar:
        for name, data in {MANIFEST: manifest_text(ran, version).encode(), **files}.items():
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size = len(data)
            entry.mode = 0o600
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def read_archive(data: bytes, origin: str) -> Collection:
    """What is in an archive; raises CollectionError.

    ``origin``: its name for messages.
    """
    if len(data) > LARGEST_ARCHIVE:
        raise CollectionError(f"{origin}: an archive may have {LARGEST_ARCHIVE >> 20} MiB, and this has more")
    if not is_archive(data[:HEAD]):
        raise CollectionError(f"{origin} is no tar archive, as netlab collect writes one")
    members = _members(_unzipped(data, origin), origin)
    if MANIFEST not in members:
        raise CollectionError(f"{origin} has no {FOLDER}/{MANIFEST}: netlab collect did not make it")
    made_by, version, ran = _manifest(_decoded(members[MANIFEST]), origin)
    for one in ran.values():
        there = len(members.get(one.file, b""))
        if one.kind == "step" and there != one.size:
            what = f"{one.file} has {there} bytes, and its manifest says {one.size}"
            raise CollectionError(f"{origin}: {what}: the collection is damaged")
    files = {name: _decoded(content) for name, content in members.items() if name != MANIFEST}
    return Collection(origin, files, ran, made_by, version)


def _unzipped(data: bytes, origin: str) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    parts, size = [], 0
    try:
        with GzipFile(fileobj=io.BytesIO(data)) as file:
            while part := file.read(_AT_ONCE):
                parts.append(part)
                size += len(part)
                if size > LARGEST:
                    raise CollectionError(f"{origin}: unpacked, it has more than {LARGEST >> 20} MiB")
    except EOFError:
        raise CollectionError(f"{origin} is cut short: its end is missing after {size} bytes") from None
    except (BadGzipFile, zlib.error, OSError) as error:
        raise CollectionError(f"{origin}: damaged after {size} unpacked bytes ({error})") from None
    return b"".join(parts)


def _members(data: bytes, origin: str) -> dict[str, bytes]:
    """The contents by name, of regular files right in the one folder."""
    found: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for entry in tar:
                name = entry.name.removeprefix("./")
                if entry.isdir() and name == FOLDER:
                    continue
                _check_entry(entry, name, origin)
                total += entry.size
                if len(found) >= MOST_FILES or total > LARGEST:
                    raise CollectionError(f"{origin}: more than {MOST_FILES} files or {LARGEST >> 20} MiB")
                short = name.removeprefix(f"{FOLDER}/")
                if short in found:
                    raise CollectionError(f"{origin} has {shown_in_line(name)} twice")
                file = tar.extractfile(entry)
                content = file.read(entry.size) if file is not None else b""
                if len(content) != entry.size:
                    raise CollectionError(f"{origin} is cut short in {shown_in_line(name)}")
                found[short] = content
    except tarfile.TarError as error:
        raise CollectionError(f"{origin} is cut short or damaged: {error}") from None
    return found


def _check_entry(entry: tarfile.TarInfo, name: str, origin: str) -> None:
    folder, _, short = name.partition("/")
    if folder != FOLDER or not _NAME.match(short):
        what = f"{shown_in_line(name)} is no file of {FOLDER}/"
        raise CollectionError(f"{origin}: {what}: netlab collect did not write it")
    if not entry.isreg() or entry.issparse():
        raise CollectionError(f"{origin}: {shown_in_line(name)} is not a regular file")
    if entry.size > LARGEST_FILE:
        what = f"{shown_in_line(name)} has {entry.size:,} bytes"
        raise CollectionError(f"{origin}: {what}: {LARGEST_FILE:,} at most")


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", "replace").replace("\0", "\ufffd")


def _manifest(text: str, origin: str) -> tuple[str, str, dict[str, Ran]]:
    where = f"{origin}: {MANIFEST}"
    lines = text.splitlines()
    head = lines[0].split("\t") if lines else []
    if len(head) != 2 or head[0] != "netlab-collection":
        raise CollectionError(f"{where}:1: it is no manifest of netlab collect: another tool made it")
    if head[1] != str(FORMAT):
        newer = head[1].isdigit() and int(head[1][:6]) > FORMAT
        what = "a newer netlab wrote it: update this one" if newer else "collect again with this netlab"
        raise CollectionError(
            f"{where}:1: form {shown_in_line(head[1])}, and this netlab reads {FORMAT}; {what}"
        )
    if lines[-1] != "end":
        raise CollectionError(f"{where}: it has no end: the collection was broken off")
    made_by, version = "", ""
    ran: dict[str, Ran] = {}
    for number, line in enumerate(lines[1:-1], 2):
        match line.split("\t"):
            case ["made-by", who, what]:
                made_by, version = who, what
            case ["step" | "absent" | "skipped" as kind, file, code, size, program] if (
                _NAME.match(file) and _is_number(code) and _is_number(size)
            ):
                ran[file] = Ran(kind, file, int(code), int(size), program)
            case _:
                raise CollectionError(
                    f"{where}:{number}: {shown_in_line(line[:60])} is no line of a manifest"
                )
    return made_by, version, ran


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]{1,12}", text, re.ASCII) is not None
