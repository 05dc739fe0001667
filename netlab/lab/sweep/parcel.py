"""Work as text: the files of a scenario, its options, and what to do with it; the answer as text, too.

A parcel holds the content of every file that the scenario was read from, by absolute path, the folder in
which relative names mean something, and those variables of the environment that the files mention. No plan
and no lab is in it. The one who opens it must come to the same plan: the digest says whether.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.exposure import described, fate, proof, shadow, verdict, witness
from netlab.exposure import expect as exposure_expect
from netlab.journey import expand, expect, matrix
from netlab.lab import codec
from netlab.model import flow, journey
from netlab.model.error_messages import from_message, to_message
from netlab.model.errors import MachineError
from netlab.plan import live_rules
from netlab.predict import evaluate
from netlab.scenario import Sources

if TYPE_CHECKING:
    from netlab.model.plan import Plan

#: The classes that an answer may hold beside those of a plan.
_CLASSES = codec.classes_of(
    *(expand, expect, flow, journey, matrix, live_rules),
    *(exposure_expect, described, fate, proof, shadow, verdict, witness, evaluate),
)
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
#: Variables that change what a Compose file means without being mentioned in it.
_COMPOSE = re.compile(r"COMPOSE_[A-Z_]+")


def pack(
    what: str,
    sources: Sequence[Sources],
    options: Mapping[str, Any],
    read: Mapping[str, bytes],
    plan: Plan | None,
    **more: Any,
) -> str:
    """The text of a parcel.

    ``what`` names the work (:mod:`netlab.lab.sweep.worker`), ``more`` are its arguments. ``read``: what
    :func:`netlab.scenario.files.recording` recorded. ``plan``: the one that the opener must come to; None if
    the scenario is refused, which the opener must find, too.
    """
    texts = {path: content.decode("utf-8", "surrogateescape") for path, content in read.items()}
    mentioned = set().union(*map(_VARIABLE.findall, texts.values()))
    return json.dumps(
        {
            "what": what,
            "cwd": os.getcwd(),
            "files": texts,
            "sources": [
                {
                    "files": [os.fspath(file) for file in one.files],
                    "environ": None if one.environ is None else _some(one.environ, mentioned),
                    "found_in": None if one.found_in is None else os.fspath(one.found_in),
                }
                for one in sources
            ],
            "environ": _some(os.environ, mentioned),
            "options": dict(options),
            "digest": None if plan is None else digest(plan),
            **more,
        }
    )


def _some(environ: Mapping[str, str], mentioned: set[str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name in mentioned or _COMPOSE.fullmatch(name)}


def digest(plan: Plan, folder: str = "") -> str:
    """What a plan is known by; ``folder``: where its files are instead of at the root."""
    text = codec.dumps(plan)
    return codec.digest(text.replace(folder, "") if folder else text)


def unpack(parcel: Mapping[str, Any], folder: str) -> tuple[list[Sources], dict[str, Any]]:
    """Write the files of a parcel below a folder, and go there; the sources and options for loading them.

    Absolute names get the folder in front; relative ones stay, and mean the same files.
    """
    for name, text in parcel["files"].items():
        path = Path(below(folder, name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    options = dict(parcel["options"])
    options["environ"] = parcel["environ"]
    if options.get("env_files"):
        options["env_files"] = [_moved(folder, name) for name in options["env_files"]]
    if options.get("project_directory"):
        options["project_directory"] = _moved(folder, options["project_directory"])
    place = Path(below(folder, parcel["cwd"]))
    place.mkdir(parents=True, exist_ok=True)
    os.chdir(place)
    if options.get("project_directory"):
        Path(options["project_directory"]).mkdir(parents=True, exist_ok=True)
    sources = [
        Sources(
            [_moved(folder, name) for name in one["files"]],
            one["environ"],
            None if one["found_in"] is None else _moved(folder, one["found_in"]),
        )
        for one in parcel["sources"]
    ]
    return sources, options


def below(folder: str, path: str) -> str:
    """An absolute path, below a folder; ``..`` leads nowhere else, as paths are normal."""
    return folder + os.path.normpath("/" + path.lstrip("/"))


def _moved(folder: str, name: str) -> str:
    return below(folder, name) if os.path.isabs(name) else name


def answered(value: Any, warnings: Sequence[str], folder: str) -> str:
    """The text of an answer, in which files have their own names again."""
    return json.dumps({"value": codec.encode(value), "warnings": list(warnings)}).replace(folder, "")


def failed(error: BaseException, folder: str) -> str:
    """The text of an error as an answer."""
    return json.dumps(to_message(error, "working through a parcel")).replace(folder, "")


def opened(text: str) -> tuple[Any, list[str]]:
    """The value of an answer, and the warnings that came with it; raises the error that it is."""
    answer = json.loads(text)
    if "error" in answer:
        raise from_message(answer, "a worker failed", MachineError)
    return codec.decode(answer["value"], _CLASSES), answer["warnings"]
