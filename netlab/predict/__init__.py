"""Prediction: what becomes of a packet, from a plan alone.  Pure: no root, no kernel, no Linux.

Names are imported at their first use: measuring needs no prediction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.first_use import at_first_use

if TYPE_CHECKING:
    from netlab.predict.compare import asked, first_difference
    from netlab.predict.predictor import Predictor

__all__ = ["Predictor", "asked", "first_difference"]

__getattr__ = at_first_use(
    __name__,
    {
        "Predictor": "netlab.predict.predictor",
        "asked": "netlab.predict.compare",
        "first_difference": "netlab.predict.compare",
    },
)
