"""The JSON object of a matrix."""

from __future__ import annotations

from typing import Annotated, TypedDict

from netlab.journey.matrix import WayIn
from netlab.model.journey_json import JourneyDocument


class VariantDocument(TypedDict):
    """A column: a lab, or a variant of the scenario."""

    label: str
    refusal: str | None  #: why the variant does not apply to this scenario


_From = TypedDict("_From", {"from": Annotated[str, "the node that asks"]})


class CellDocument(_From):
    """A flow of the matrix."""

    to: str
    family: str  #: `ipv4` or `ipv6`
    role: str  #: what the origin is to the service: `remote`, `LAN`, `host`, `sibling`, …
    way: WayIn
    published: bool  #: whether the port is published


class MatrixFlowDocument(CellDocument):
    """A flow, with each variant's answer."""

    differs: bool  #: whether the answers of the variants differ
    answers: dict[str, JourneyDocument | None]  #: by label; null where the flow does not exist


class MatrixDocument(TypedDict):
    """Every flow of a lab, or of several variants."""

    variants: list[VariantDocument]
    flows: list[MatrixFlowDocument]
