"""Archives are read without trust: nothing of them becomes a path, and every size has a limit."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest
from support.collections import RECORDED, recorded

from netlab.twin import archive
from netlab.twin.archive import CollectionError, Ran, pack, read_archive

STEP = Ran("step", "uname", 0, 5, "uname")


def tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar of these entries."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for entry, content in entries:
            file.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tuple[tarfile.TarInfo, bytes]:
    """One entry of a tar."""
    made = tarfile.TarInfo(name)
    made.size, made.type = len(content), kind
    if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        made.linkname = "/etc/passwd"
    return made, content


def manifest(*lines: str) -> tuple[tarfile.TarInfo, bytes]:
    """A manifest with these lines."""
    return entry("netlab-collection/manifest", "".join(f"{line}\n" for line in lines).encode())


GOOD = ("netlab-collection\t1", "made-by\tnetlab\t1", "step\tuname\t0\t5\tuname", "end")


def test_what_is_packed_is_read() -> None:
    found = read_archive(pack({"uname": b"Linux"}, [STEP], "1.2"), "h.tar.gz")
    assert (found.text("uname"), found.made_by, found.version) == ("Linux", "netlab", "1.2")
    assert found.ran["uname"] == STEP


def test_a_recorded_one_is_read() -> None:
    found = recorded()
    assert "*nat" in found.text("iptables.rules")
    assert found.absent == ("ipset",)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("netlab-collection/../x", tarfile.REGTYPE),
        ("/etc/passwd", tarfile.REGTYPE),
        ("netlab-collection/a/b", tarfile.REGTYPE),
        ("netlab-collection/.x", tarfile.REGTYPE),
        ("netlab-collection/\x1b[2J", tarfile.REGTYPE),
        ("netlab-collection/x", tarfile.SYMTYPE),
        ("netlab-collection/x", tarfile.LNKTYPE),
        ("netlab-collection/x", tarfile.CHRTYPE),
        ("netlab-collection/x", tarfile.FIFOTYPE),
    ],
)
def test_paths_links_and_devices_are_refused(name: str, kind: bytes) -> None:
    with pytest.raises(CollectionError, match=r"no file of netlab-collection/|not a regular file") as error:
        read_archive(
            tar(manifest(*GOOD), entry("netlab-collection/uname", b"Linux"), entry(name, b"", kind)), "a"
        )
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"services: {}\n", "no tar archive"),
        (tar(entry("netlab-collection/uname", b"Linux")), "has no netlab-collection/manifest"),
        (tar(manifest("sosreport\t1", "end")), "manifest:1: it is no manifest .*another tool"),
        (tar(manifest("netlab-collection\t2", "end")), "form 2.*update this one"),
        (tar(manifest("netlab-collection\t0", "end")), "form 0.*collect again"),
        (tar(manifest(*GOOD[:-1])), "has no end: the collection was broken off"),
        (tar(manifest(*GOOD)), "uname has 0 bytes, and its manifest says 5"),
        (tar(manifest(GOOD[0], "step\t../x\t0\t0\tx", "end")), "manifest:2: .*no line of a manifest"),
        (tar(manifest(*GOOD), *[entry("netlab-collection/uname", b"Linux")] * 2), "uname twice"),
        (RECORDED.read_bytes()[:3000], "cut short"),
        (gzip.decompress(RECORDED.read_bytes())[:9000], "cut short"),
        (RECORDED.read_bytes()[:2000] + b"\0" * 500, "damaged after|cut short"),
    ],
)
def test_what_is_no_collection_is_told(data: bytes, words: str) -> None:
    with pytest.raises(CollectionError, match=words):
        read_archive(data, "host.tar.gz")


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LARGEST", 4 << 20)
    with pytest.raises(CollectionError, match="unpacked, it has more than 4 MiB"):
        read_archive(gzip.compress(b"\0" * (64 << 20)), "bomb.gz")


def test_sizes_and_numbers_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    many = tar(manifest(*GOOD), *(entry(f"netlab-collection/f{n}") for n in range(archive.MOST_FILES + 1)))
    with pytest.raises(CollectionError, match="more than 200 files"):
        read_archive(many, "a")
    monkeypatch.setattr(archive, "LARGEST_FILE", 4)
    with pytest.raises(CollectionError, match="uname has 5 bytes: 4 at most"):
        read_archive(tar(entry("netlab-collection/uname", b"Linux")), "a")
    monkeypatch.setattr(archive, "LARGEST_ARCHIVE", 100)
    with pytest.raises(CollectionError, match="and this has more"):
        read_archive(tar(manifest(*GOOD)), "a")
