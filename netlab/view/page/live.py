"""The page of a lab's traffic: the report's page, whose journeys come one by one.

It keeps the last journeys. Each :meth:`LivePage.add` gives what an open page has to change, as HTML in which
every text is escaped; a page that is opened later gets all of it at once.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from netlab.view.lab import remarks
from netlab.view.page.chains import Chains
from netlab.view.page.parts import FILTERS, NAMED, FlowPart, answer_of, environment, frame, lab_part, never

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.plan.live_rules import Rules

#: journeys on the page; older ones go
KEPT: Final = 200
_PREFIX: Final = "s0"


class LivePage:
    """The page of one lab: ``rules`` are those of each host, ``version`` is netlab's."""

    def __init__(self, plan: Plan, rules: Mapping[str, Rules], version: str, kept: int = KEPT) -> None:
        self._plan = plan
        self._version = version
        self._kept = kept
        self._chains = Chains(plan, rules, _PREFIX)
        self._flows: deque[tuple[FlowPart, Journey]] = deque()
        self._titles: dict[str, str] = {}
        self._count = 0
        self._environment = environment()
        self._frame = frame("report.js", "live.js")
        self._parts: Any = self._environment.get_template("parts.html").make_module(
            {"titles": self._titles, "named": NAMED, "several": False, "never": never}
        )
        # Read once: the process that serves it may lose the right to read netlab's files.
        self._template = self._environment.get_template("report.html")
        self._lab = lab_part(plan.name, plan, remarks(plan.silent, plan.unpublished), self._chains)

    def add(self, journey: Journey, when: float) -> dict[str, Any]:
        """Add a journey that ended at ``when`` (seconds since the epoch).

        Returns its ``key``, its ``row`` and ``flow``, the keys that are ``gone``, the cells of rules that it
        or those have ``met`` (chain, rule, HTML, whether a flow met it), and the chains that are ``unmet``.
        """
        self._count += 1
        key = f"f{self._count}"
        self._chains.touched.clear()
        gone = []
        while len(self._flows) >= self._kept:
            old, _ = self._flows.popleft()
            gone.append(old.key)
            self._chains.forget(old.key)
            del self._titles[old.key]
        flow = FlowPart(
            key, journey.flow.origin, journey.flow.to, journey.flow.family, _clock(when),
            [answer_of(journey, self._plan, self._chains, key)],
        )  # fmt: skip
        self._titles[key] = flow.title
        self._flows.append((flow, journey))
        met = [
            [chain.key, "policy" if number is None else str(number), str(self._parts.met(flows)), bool(flows)]
            for chain, number in self._chains.touched.values()
            for flows in [chain.ended_by_policy if number is None else chain.rules[number].flows]
        ]
        return {
            "key": key,
            "title": flow.title,
            "words": f"{journey.outcome}, {journey.path}",
            "row": str(self._parts.row(flow)),
            "flow": str(self._parts.journey(flow)),
            "gone": gone,
            "met": met,
            "unmet": str(self._parts.unmet(self._chains)),
        }

    def replace_rules(self, rules: Mapping[str, Rules]) -> dict[str, Any]:
        """Somebody changed the hosts' rules: the new ``rules``, with what the kept journeys met in them."""
        self._chains = Chains(self._plan, rules, _PREFIX)
        kept = list(self._flows)
        self._flows.clear()
        for old, journey in kept:
            answers = [answer_of(journey, self._plan, self._chains, old.key)]
            flow = FlowPart(old.key, old.origin, old.target, old.family, old.kind, answers)
            self._flows.append((flow, journey))
        self._lab = lab_part(self._plan.name, self._plan, self._lab.remarks, self._chains)
        return {"rules": str(self._parts.rules([self._lab]))}

    def document(self, after: int) -> str:
        """The whole page as it is now; its script asks for what comes ``after`` this event."""
        flows = [flow for flow, _ in reversed(self._flows)]
        page: str = self._template.render(
            labs=[self._lab], flows=flows, never=never, named=NAMED, version=self._version, several=False,
            title=self._plan.name, titles=self._titles, live={"lab": self._plan.name, "after": after},
            choices={name: sorted({word for f in flows for word in f.choices(name)}) for name in FILTERS},
            **self._frame,
        )  # fmt: skip
        return page


def _clock(when: float) -> str:
    whole = int(when)
    return f"{time.strftime('%H:%M:%S', time.localtime(whole))}.{int((when - whole) * 1000):03d}"
