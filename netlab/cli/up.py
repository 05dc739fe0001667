"""``netlab up``: build the labs of some scenarios at the same time, and leave them running."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli.common import (
    add_scenario_options,
    as_typed,
    print_json,
    print_text,
    read_group,
    say,
    scenario_groups,
)
from netlab.cli.help import examples
from netlab.cli.progress import Progress

if TYPE_CHECKING:
    import argparse

    from netlab.cli.common import Files
    from netlab.lab.standing import Job


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, several=True, programs=True)
    parser.add_argument("--json", action="store_true", help="print the lab as JSON")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing unless something goes wrong"
    )
    parser.epilog = (
        "If the lab is already running, only the services and networks that changed are created, "
        "removed or restarted, as with `docker compose up`. A change to a host or to the nodes "
        "outside rebuilds the whole lab. When the command returns, everything that it shows is ready "
        "to answer."
    )
    examples(
        parser,
        ("netlab up scenarios/httpd.yaml", "build the example of the README"),
        (
            "netlab up --engine docker-28 --firewall ufw",
            "this folder's Compose file, with another engine and ufw",
        ),
    )


def run(args: argparse.Namespace) -> int:
    """Bring the labs up; returns 0, or the exit code of the first that failed."""
    from netlab.lab.standing import bring_up

    groups = scenario_groups(args)
    with Progress(sys.stderr) as progress:
        jobs = bring_up(lambda: load_all(args, groups), say, progress.show)
    report(args, jobs)
    errors = [job.error for job in jobs if job.error is not None]
    if errors:
        raise errors[0] if len(errors) == 1 else _together(errors)
    return 0


def load_all(args: argparse.Namespace, groups: list[Files]) -> list[Job]:
    """Read every scenario; raises one error with all that is wrong with any of them."""
    from netlab.lab.options import refuse_programs
    from netlab.lab.standing import Job
    from netlab.model.errors import Problem, ScenarioError, UsageError

    jobs: list[Job] = []
    problems: list[Problem] = []
    for files in groups:
        try:
            job = Job(read_group(args, files), files)
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
    from netlab.cli.common import colours
    from netlab.view import lab as view

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
        labs = [
            {**view.document(job.plan), "unchanged": job.unchanged, "warnings": job.warnings}
            for job in standing
        ]
        print_json({"labs": labs})
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
