"""What ``netlab up`` is to bring up: read and planned while the first supervisor starts."""

from __future__ import annotations

import argparse

from netlab.cli.scenarios import as_typed, read_group, scenario_groups
from netlab.lab.bring_up import Job
from netlab.lab.jobs import ScenarioJob
from netlab.lab.options import refuse_programs
from netlab.model.errors import Problem, ScenarioError, UsageError


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
