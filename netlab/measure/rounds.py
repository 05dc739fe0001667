"""Which flows may be in the air together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.model.flow import Flow


def rounds(flows: Sequence[Flow], size: int) -> Iterator[Sequence[Flow]]:
    """Flows that may be in the air together: ``size`` at most, and no two from one port of a node."""
    start = 0
    taken: set[object] = set()
    for number, flow in enumerate(flows):
        source = flow.source_port and (flow.origin, flow.family, flow.protocol, flow.source_port)
        if number - start == size or source in taken:
            yield flows[start:number]
            start, taken = number, set()
        if source:
            taken.add(source)
    if start < len(flows):
        yield flows[start:]
