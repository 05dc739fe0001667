"""A process that opens one parcel: ``python -m netlab.lab.sweep.worker PARENT FOLDER``.

It reads the parcel from stdin, unpacks it below FOLDER, and writes the answer to stdout. It is killed when
its parent ends, and its lab with it. ``… PARENT`` alone builds an empty lab and takes it down: what it writes
is empty, or says why this machine cannot.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from netlab.journey.matrix import Selection
from netlab.lab import codec
from netlab.lab.exposure import Asked, exposed, send
from netlab.lab.lab import Lab
from netlab.lab.load import load_scenario
from netlab.lab.prediction import Prediction, predicted_column, predicted_variant
from netlab.lab.stages import planned
from netlab.lab.sweep.parcel import answered, digest, failed, unpack
from netlab.lab.temporary import column, observed, side_column, verify
from netlab.model.errors import MachineError, NetlabError
from netlab.model.plan import Plan
from netlab.plan import make
from netlab.plan.diff import applicable
from netlab.proxy.identity import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from netlab.model.scenario import Scenario


def _verify(read: Callable[[], Scenario], _: Mapping[str, Any], warn: Callable[[str], None]) -> Any:
    scenario = read()
    return tuple(verify(planned(scenario), scenario, warn=warn))


def _predict_verify(read: Callable[[], Scenario], _: Mapping[str, Any], __: Callable[[str], None]) -> Any:
    prediction = Prediction(plan=planned(read()))
    return (*prediction.verify_exposures(), *prediction.verify())


def _matrix(read: Callable[[], Scenario], parcel: Mapping[str, Any], _: Callable[[str], None]) -> Any:
    return column(parcel["label"], read, _selection(parcel))


def _predict_matrix(read: Callable[[], Scenario], parcel: Mapping[str, Any], _: Callable[[str], None]) -> Any:
    return predicted_variant(parcel["label"], read, _selection(parcel))


def _side(read: Callable[[], Scenario], parcel: Mapping[str, Any], _: Callable[[str], None]) -> Any:
    scenario = read()
    return side_column(parcel["label"], make(scenario), scenario)


def _predict_side(read: Callable[[], Scenario], parcel: Mapping[str, Any], _: Callable[[str], None]) -> Any:
    return predicted_column(parcel["label"], make(read()))


def _report(read: Callable[[], Scenario], parcel: Mapping[str, Any], _: Callable[[str], None]) -> Any:
    return observed(parcel["label"], lambda: make(read()), _selection(parcel))


def _exposure(read: Callable[[], Scenario], parcel: Mapping[str, Any], _: Callable[[str], None]) -> Any:
    return exposed(None, applicable(make(read())), Asked(*parcel["asked"]))


def _send(read: Callable[[], Scenario], parcel: Mapping[str, Any], _: Callable[[str], None]) -> Any:
    return tuple(send(None, applicable(make(read())), codec.decode(parcel["flows"])))


def _selection(parcel: Mapping[str, Any]) -> Selection | None:
    found = parcel["selection"]
    return None if found is None else Selection(*found)


#: What can be done with a scenario, by the name in the parcel: (what reads it, the parcel, what to call with
#: a warning) → the value of the answer.
WORK: Mapping[str, Callable[[Callable[[], Scenario], Mapping[str, Any], Callable[[str], None]], Any]] = {
    "verify": _verify,
    "predict verify": _predict_verify,
    "matrix": _matrix,
    "predict matrix": _predict_matrix,
    "side": _side,
    "predict side": _predict_side,
    "report": _report,
    "exposure": _exposure,
    "send": _send,
}


def work(parcel: Mapping[str, Any], folder: str) -> str:
    """Do what a parcel says; the text of the answer."""
    warnings: list[str] = []
    try:
        sources, options = unpack(parcel, folder)

        def read() -> Scenario:
            scenario = load_scenario([], sources=sources, **options)
            if parcel["digest"] is not None and digest(make(scenario), folder) != parcel["digest"]:
                raise MachineError(
                    "a worker reads the scenario otherwise than this netlab: it has another version of "
                    "netlab, or other engines"
                )
            return scenario

        return answered(WORK[parcel["what"]](read, parcel, warnings.append), warnings, folder)
    except Exception as error:
        return failed(error, folder)


def lacks() -> str:
    """Why this machine cannot build labs; empty if it can."""
    try:
        with Lab(plan=Plan("check", "check", (), (), ())):
            return ""
    except NetlabError as error:
        return str(error)


def main(arguments: list[str]) -> None:
    """Open a parcel, or check the machine."""
    end_with_parent(int(arguments[0]))
    if len(arguments) == 1:
        sys.stdout.write(lacks())
        return
    sys.stdout.write(work(json.load(sys.stdin), os.path.realpath(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
