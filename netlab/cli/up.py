"""``netlab up``: build the labs of some scenarios at the same time, and leave them running."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli.output import colours, print_json, print_text, say
from netlab.cli.progress import Progress
from netlab.cli.verbs import load
from netlab.lab.bring_up import Job, bring_up
from netlab.view import lab as view

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace) -> int:
    """Bring the labs up; returns 0, or the exit code of the first that failed."""
    with Progress(sys.stderr) as progress:
        jobs = bring_up(lambda: jobs_of(args), say, progress.show)
    report(args, jobs)
    errors = [job.error for job in jobs if job.error is not None]
    if errors:
        raise errors[0] if len(errors) == 1 else _together(errors)
    return 0


def jobs_of(args: argparse.Namespace) -> list[Job]:
    """The jobs, made by modules that are imported when the first supervisor has been started."""
    jobs: list[Job] = load("up_jobs").jobs_of(args)
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
