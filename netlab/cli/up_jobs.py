"""What ``netlab up`` is to bring up: read and planned while the first supervisor starts."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from netlab.cli.output import colours, print_json, print_text, say
from netlab.cli.progress import Progress
from netlab.cli.scenarios import as_typed, read_group, scenario_groups
from netlab.lab.bring_up import Job, bring_up
from netlab.lab.client.launch import Launch
from netlab.lab.jobs import ScenarioJob
from netlab.lab.options import refuse_programs
from netlab.model.errors import UsageError
from netlab.model.problem import Problem, ScenarioError
from netlab.view import lab as view

if TYPE_CHECKING:
    from netlab.cli.documents import UpDocument


def run(args: argparse.Namespace, early: Launch) -> int:
    """Bring the labs up, the first with ``early``; returns 0, or raises the first error."""
    with Progress(sys.stderr) as progress:
        jobs = bring_up(lambda: jobs_of(args), say, progress.show, early)
    report(args, jobs)
    errors = [job.error for job in jobs if job.error is not None]
    if errors:
        raise errors[0] if len(errors) == 1 else _together(errors)
    return 0


def jobs_of(args: argparse.Namespace) -> list[Job]:
    """Read every scenario; raises one error with all that is wrong with any of them."""
    jobs: list[Job] = []
    problems: list[Problem] = []
    for files in scenario_groups(args):
        try:
            job = ScenarioJob(read_group(args, files), files)
        except ScenarioError as error:
            problems += error.problems
            continue
        if not args.allow_programs:
            try:
                refuse_programs(job.plan)
            except UsageError as error:
                raise error.spelled(as_typed) from error
        jobs.append(job)
    if problems:
        raise ScenarioError(problems)
    names = [job.name for job in jobs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"two scenarios would make a lab named {name}; bring them up one by one, with --name"
            )
    return jobs


def report(args: argparse.Namespace, jobs: list[Job]) -> None:
    """Show the labs: messages and warnings on stderr, the picture or JSON on stdout."""
    standing = [job for job in jobs if job.error is None]
    for job in standing:
        for note in job.plan.notes if not args.quiet else ():
            if not note.by_chance:
                say(f"{job.name}: {note}")
        for warning in job.warnings:
            say(f"{job.name}: {warning}")
        if job.unchanged and not args.quiet:
            say(f"{job.name} is up already, and unchanged")
    if args.json:
        document: UpDocument = {
            "labs": [
                {**view.document(job.plan), "unchanged": job.unchanged, "warnings": job.warnings}
                for job in standing
            ]
        }
        print_json(document)
    elif not args.quiet:
        colour = colours(sys.stdout)
        for number, job in enumerate(standing):
            if number:
                print_text()
            print_text("\n".join(view.picture(job.plan, colour=colour)), styles=colour)


def _together(errors: list[Exception]) -> Exception:
    """Several errors as one, with the exit code of the first."""
    error = errors[0]
    return type(error)("\n".join(map(str, errors))) if not hasattr(error, "problems") else error
