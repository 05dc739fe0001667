"""What Compose itself refuses: names that a file uses but does not define.

Source: compose-go's ``loader/validate.go``; seen with Compose 2.26.1 and 2.40.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from netlab.scenario.assemble import Parts
from netlab.scenario.services import Draft
from netlab.scenario.tree import Report, Value

#: the source of a bind mount in the short form of a volume: a path, also one of Windows
_PATH = re.compile(r"[./~]|[A-Za-z]:[\\/]|\\\\")


def check_compose(parts: Parts, folder: Path, report: Report) -> None:
    """Report names that nothing defines; warn of what Compose alone needs (images, files of variables)."""
    for section, kinds in (
        ("secrets", ("file", "environment")),
        ("configs", ("file", "environment", "content")),
    ):
        _defined(section, kinds, parts, report)
    for draft in parts.drafts:
        _undefined(draft, parts, report)
        _image(draft, parts, report)
        _variables(draft, folder, report)


def _defined(section: str, kinds: tuple[str, ...], parts: Parts, report: Report) -> None:
    """Each secret and config is external, or has content."""
    written = parts.root.get(section)
    for name, value in written.pairs() if written is not None else ():
        external, driver = value.get("external"), value.get("driver") or value.get("template_driver")
        if driver is None and (external is None or external.data is False) and not any(map(value.get, kinds)):
            reason = f"one of {'|'.join(kinds)} must be set"
            report.refuse(
                written.key_at(name) if written else parts.root.at, f"{section}.{name}", reason, by="Compose"
            )


def _undefined(draft: Draft, parts: Parts, report: Report) -> None:
    where = f"services.{draft.service.name}"
    for section, word, source in _named(draft.source):
        if source.text and source.text not in parts.written(section):
            reason = f'service "{draft.service.name}" refers to undefined {word} {source.text}'
            report.refuse(source.at, where, reason, by="Compose")


def _named(service: Value) -> Iterator[tuple[str, str, Value]]:
    """(section, what Compose calls it, the name) of each volume, secret and config that a service names."""
    for item in service.get("volumes") or ():
        source = _volume(item)
        if source is not None:
            yield "volumes", "volume", source
    for section, word in (("secrets", "secret"), ("configs", "config")):
        yield from ((section, word, source) for source in _sources(service.get(section)))
    build = service.get("build")
    if build is not None:
        yield from (("secrets", "build secret", source) for source in _sources(build.get("secrets")))


def _sources(value: Value | None) -> Iterator[Value]:
    for item in value or ():
        source = item if isinstance(item.data, str) else item.get("source")
        if source is not None and isinstance(source.data, str):
            yield source


def _volume(item: Value) -> Value | None:
    """The name of a named volume; None for any other volume."""
    if isinstance(item.data, str):
        source, colon, _ = item.text.partition(":")
        return item.with_data(source) if colon and source and not _PATH.match(item.text) else None
    kind, source_of = item.get("type"), item.get("source")
    if kind is None or kind.text != "volume" or source_of is None or not isinstance(source_of.data, str):
        return None
    return source_of


def _image(draft: Draft, parts: Parts, report: Report) -> None:
    """Compose needs an image, but netlab does not: a file with x-netlab may omit it."""
    has = draft.service.image is not None or draft.source.get("build") is not None
    if not has and parts.root.get("x-netlab") is None:
        name = draft.service.name
        what = f'service "{name}" has neither an image nor a build context specified'
        report.warn(draft.service.position, f"services.{name}: Compose refuses this: {what}")


def _variables(draft: Draft, folder: Path, report: Report) -> None:
    """Compose reads them for the container; netlab does not, so a missing one is only a warning."""
    written = draft.source.get("env_file")
    if written is None:
        return
    for item in written if isinstance(written.data, list) else (written,):
        path = item if isinstance(item.data, str) else item.get("path")
        required = item.get("required")
        if (
            path is None
            or not path.text
            or "\0" in path.text
            or (required is not None and required.data is False)
        ):
            continue
        # relative to the project, or to the included or extended file that names it
        folders = (folder, Path(path.at[0]).absolute().parent)
        if not any(_exists(place / path.text) for place in folders):
            where = f"services.{draft.service.name}.env_file"
            report.warn(path.at, f"{where}: Compose refuses this: env file {path.text} not found")


def _exists(path: Path) -> bool:
    """Whether it is a file; one with an impossible name is not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
