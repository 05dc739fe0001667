"""Takes a learner through a lesson, step by step, and compares every claim with what is measured."""

from __future__ import annotations

import json
import shlex
import statistics
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netlab.cli.output import say
from netlab.journey.expect import check
from netlab.lab.lab import Lab
from netlab.lab.stages import judge
from netlab.lesson.lesson import Build, Cost, Do, Measure, Predict, Show, Task, Tell
from netlab.model.errors import LabError
from netlab.view import rich
from netlab.view.journey import journey_view
from netlab.view.verify import expected_words, measured_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.cli.demo_screen import Screen
    from netlab.journey.expand import Claim
    from netlab.journey.expect import Verdict
    from netlab.lab.lessons import Part
    from netlab.lesson.lesson import Step
    from netlab.model.expectation import Expectation, ScenarioEvent
    from netlab.model.problem import Position

#: Seconds that a command of a lesson may take.
_PATIENCE = 120.0


class Teacher:
    """Counts the claims that did not hold (``failed``), and those that could not be measured."""

    def __init__(self, screen: Screen, *, allow_programs: bool) -> None:
        """``allow_programs`` as for :class:`netlab.Lab`."""
        self._screen = screen
        self._allow_programs = allow_programs
        self.failed = 0
        self.unmeasured = 0

    def teach(self, part: Part) -> None:
        """Build a lab, take the steps in it, and take it down. Raises LabError, MachineError, EOFError."""
        engine = " ".join(filter(None, [_engine(part), part.build.firewall, *part.build.daemon]))
        self._screen.say("builds", style="dim", scenario=part.build.scenario, engine=engine)
        scenario = replace(part.scenario, expect=())
        with Lab(plan=part.plan, scenario=scenario, allow_programs=self._allow_programs) as lab:
            for step in part.steps:
                self._screen.print()
                self._step(step, lab, part)

    def _step(self, step: Step, lab: Lab, part: Part) -> None:
        match step:
            case Tell():
                self._screen.print(step.words.of(self._screen.language))
                self._screen.wait()
            case Predict():
                self._predict(step, lab, part)
            case Measure():
                self._measure(lab, part, step.expectations, step.position)
                self._screen.wait()
            case Show():
                self._show(step, lab)
                self._screen.wait()
            case Do():
                self._do(lab, step.events)
            case Task():
                self._task(step, lab, part)
            case Cost():
                self._cost(step, lab, part)
            case Build():
                raise AssertionError("a part of a lesson is one lab")

    # -- measuring

    def _verdicts(self, lab: Lab, part: Part, expectations: Sequence[Expectation]) -> list[Verdict]:
        claims: list[Claim] = [claim for one in expectations for claim in part.claims[id(one)]]
        with lab.instrument.held() as session:
            return judge(session, claims, lab.plan)

    def _measure(self, lab: Lab, part: Part, expectations: Sequence[Expectation], position: Position) -> bool:
        verdicts = self._verdicts(lab, part, expectations)
        for verdict in verdicts:
            self._screen.print(journey_view(verdict.journey, language=self._screen.language))
        return self._judge(verdicts, position)

    def _judge(self, verdicts: Sequence[Verdict], position: Position) -> bool:
        """Show whether each claim holds, and count those that do not."""
        for verdict in verdicts:
            holds = verdict.check.passed is True
            flow, words = verdict.claim.flow, expected_words(verdict.claim.expected)
            key, style = ("holds", "green") if holds else ("fails", "bold red")
            self._screen.say(key, style=style, flow=flow, family=flow.family.word, words=words)
            if verdict.check.passed is False:
                self._fail(position, "; ".join(verdict.check.problems))
            elif not holds:
                self.unmeasured += 1
                say(f"{position}: {'; '.join(verdict.check.problems)}")
        return all(verdict.check.passed for verdict in verdicts)

    def _fail(self, position: Position, problem: str) -> None:
        self.failed += 1
        say(f"{position}: the lesson is wrong: {problem}")

    # -- steps

    def _predict(self, step: Predict, lab: Lab, part: Part) -> None:
        screen = self._screen
        screen.print(step.words.of(screen.language), style="bold")
        for number, choice in enumerate(step.choices, 1):
            screen.print(f"  {number}. {choice.words.of(screen.language)}")
        chosen = 0 if screen.auto else self._chosen(len(step.choices))
        (verdict,) = self._verdicts(lab, part, [step.choices[0].expectation])
        screen.say("measured", words=measured_words(verdict.journey))
        if verdict.check.passed is None:
            self.unmeasured += 1
            say(f"{step.position}: {'; '.join(verdict.check.problems)}")
            return
        right = [
            number
            for number, choice in enumerate(step.choices, 1)
            for _, expected in choice.expectation.expected
            if check(expected, verdict.journey, lab.plan).passed
        ]
        if len(right) != 1:
            which = "no answer is" if not right else f"the answers {', '.join(map(str, right))} are"
            self._fail(step.position, f"{which} right: {measured_words(verdict.journey)}")
            return
        key = "answer" if not chosen else "right" if chosen == right[0] else "wrong"
        screen.say(key, style="green" if key == "right" else "bold", number=right[0])

    def _chosen(self, count: int) -> int:
        while True:
            typed = self._screen.ask("choose", count=count)
            if typed.isascii() and typed.isdigit() and 1 <= int(typed) <= count:
                return int(typed)

    def _show(self, step: Show, lab: Lab) -> None:
        self._screen.say("command", style="bold", node=step.node, command=shlex.join(step.argv))
        done = lab.exec(step.node, step.argv, timeout=_PATIENCE)
        output = (done.stdout + done.stderr).rstrip("\n")
        self._screen.print(rich.Text(output))
        squeezed = " ".join(output.split())
        for text in step.has:
            if " ".join(text.split()) not in squeezed:
                self._fail(step.position, f"the output lacks {text!r}")
        for text in step.lacks:
            if " ".join(text.split()) in squeezed:
                self._fail(step.position, f"the output has {text!r}")

    def _do(self, lab: Lab, events: Sequence[ScenarioEvent]) -> None:
        for event in events:
            self._screen.say("does", style="bold", event=event.text)
            lab.do(event.text)

    def _task(self, step: Task, lab: Lab, part: Part) -> None:
        screen = self._screen
        screen.say("task", style="bold")
        screen.print(step.words.of(screen.language))
        if screen.auto or not self._learner_does(step, lab, part):
            screen.say("solution", style="bold")
            self._do(lab, step.solution)
            done = self._measure(lab, part, step.expectations, step.position)
        else:
            done = True
        if done:
            screen.say("done", style="green")
        screen.wait()

    def _learner_does(self, step: Task, lab: Lab, part: Part) -> bool:
        """Whether the learner did it; False once the solution was asked for."""
        while True:
            self._screen.say("shell", style="dim", node=step.node)
            self._screen.shell([sys.executable, "-P", "-m", "netlab", "shell", f"{lab.name}.{step.node}"])
            verdicts = self._verdicts(lab, part, step.expectations)
            for verdict in verdicts:
                self._screen.print(journey_view(verdict.journey, language=self._screen.language))
            if all(verdict.check.passed for verdict in verdicts):
                return True
            if step.hint is not None:
                self._screen.print(step.hint.of(self._screen.language))
            if self._screen.ask("again").lower() == "s":
                return False

    def _cost(self, step: Cost, lab: Lab, part: Part) -> None:
        screen = self._screen
        table = rich.Table(box=rich.SIMPLE_HEAD, pad_edge=False)
        for key in ("cost_family", "cost_path", "cost_median", "cost_woken", "cost_cpu"):
            table.add_column(screen.text(key))
        verdicts = self._verdicts(lab, part, [step.expectation])
        for verdict in verdicts:
            flow = verdict.claim.flow
            before = _program(lab, "host", "usage", "docker-proxy")
            took = _program(lab, flow.origin, "connect", flow.address, str(flow.port), str(step.count))
            after = _program(lab, "host", "usage", "docker-proxy")
            woken, cpu = after["woken"] - before["woken"], after["cpu"] - before["cpu"]
            median = statistics.median(took) * 1e6
            table.add_row(
                flow.family.word, verdict.journey.path, f"{median:.0f} µs", f"{woken}", f"{cpu * 1e3:.0f} ms"
            )
            # A proxy waits at least once in a connection; without any, nothing but a timer wakes it.
            proxied = flow.family in step.proxied
            if (woken < step.count / 2) if proxied else (woken > step.count / 10):
                self._fail(step.position, f"{flow.family.word}: the proxy was woken {woken} times")
        screen.print(screen.text("cost_title", count=step.count), style="bold")
        screen.print(table)
        self._judge(verdicts, step.position)
        screen.wait()


def _engine(part: Part) -> str:
    return ", ".join(part.plan.engines)


def _program(lab: Lab, node: str, *arguments: str) -> Any:
    """What :mod:`netlab.lab.node.connect` measured in a node; raises LabError if it failed."""
    argv = [sys.executable, "-P", "-m", "netlab.lab.node.connect", *arguments]
    done = lab.exec(node, argv, timeout=_PATIENCE)
    if done.returncode != 0:
        raise LabError(f"connections from {node} failed: {(done.stderr.splitlines() or ['no answer'])[-1]}")
    return json.loads(done.stdout)
