"""The verbs `python -m rmaat study` and `python -m rmaat compare`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from foundation.cli import print_json
from foundation.errors import UserError
from foundation.files import check_writable
from foundation.machine import MOST_THREADS

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def study(
    given: Annotated[str | None, typer.Argument(metavar="STUDY", help="A TOML file, or a name from --list.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder of all runs.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Runs at a time, each in a process.")] = 1,
    threads: Annotated[int, typer.Option("--threads", min=1, max=MOST_THREADS, help="Of each run.")] = 1,
    shard: Annotated[str | None, typer.Option("--shard", metavar="I/N", help="One of N parts without a common run."
                                              )] = None,
    budget: Annotated[str | None, typer.Option("--budget", metavar="TIME", help=(
        'Stop at checkpoints after so long, as "90 min".'))] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=(
        "Change a field in all runs; may be repeated."))] = None,
    data: Annotated[list[str] | None, typer.Option("--data", metavar="TASK=DIR", help=(
        "Folder with the files of a task or config; may be repeated."))] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the runs, the longest first.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the studies by name.")] = False,
    json: Json = False,
) -> None:
    """Train a matrix of configs, variants and seeds; the same command goes on after any interruption.

    Exit code 1 where a run failed: the others are trained all the same.

    \b
    python -m rmaat study quick --out runs/quick --jobs 2
    python -m rmaat study lra.toml --out runs/lra --shard 1/2 --budget "90 min"
    """
    from rmaat.training.studies.known import STUDIES

    if listed:
        for name, make in STUDIES.items():
            print(f"{name:12}  {make.__doc__}")
        return
    if given is None:
        raise UserError(f"no study given; name a TOML file or one of: {', '.join(STUDIES)}")
    folders = dict(_pair(one) for one in data or ())
    if dry_run:
        _plan(given, settings, folders, shard=shard, json=json)
        return
    if out is None:
        raise UserError("no --out given; name the folder of the runs, for example --out runs/study")
    from rmaat.training.studies.run import study as run_study

    result = run_study(given, out, jobs=jobs, threads=threads, shard=shard, budget=budget, changes=settings or (),
                       data=folders, device=device, command=shlex.join(["rmaat", *sys.argv[1:]]))
    print_json(result.to_json()) if json else print(result)
    if result.failed:
        raise typer.Exit(1)


def _pair(text: str) -> tuple[str, str]:
    name, equals, folder = text.partition("=")
    if not equals or not name or not folder:
        raise UserError(f"--data {text}: write TASK=DIR, as text=aclImdb")
    return name, folder


def _plan(given: str, settings: list[str] | None, folders: dict[str, str], *, shard: str | None, json: bool) -> None:
    from foundation.table import Table
    from rmaat.training.studies.known import find_study
    from rmaat.training.studies.plan import with_changes
    from rmaat.training.studies.run import shard_of

    plan, (part, of) = with_changes(find_study(given), settings or (), data=folders), shard_of(shard)
    points = plan.points()[part - 1::of]
    if json:
        print_json([{"folder": point.folder, "data": point.data, "hash": point.experiment.hash} for point in points])
        return
    whole = sum(point.cost for point in points)
    print(Table(("run", "steps", "data", "share of the work, %"), [
        (point.folder, point.experiment.train.steps, point.data or "-", f"{100 * point.cost / whole:.1f}")
        for point in points], f"study {plan.name}", f"{len(points)} runs"))


def compare(
    places: Annotated[list[Path], typer.Argument(metavar="DIR...", help=(
        "Folders of runs or studies, at any depth, or JSON files of studies."))],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help=(
        "Also write Markdown, CSV, JSON and pictures there."))] = None,
    against: Annotated[str, typer.Option("--against", metavar="NAME", help="What the differences are taken from."
                                         )] = "rmaat",
    json: Json = False,
) -> None:
    """Compare runs: accuracy with intervals over seeds, paired differences, costs, beside the published numbers.

    \b
    python -m rmaat compare runs/quick
    python -m rmaat compare results/lra/*.json --out runs/tables --against rmt
    """
    from rmaat.training.studies.compare import compare as run_comparison

    if out:
        check_writable(out, folder=True)
    result = run_comparison(places, against=against)
    paths = result.write(out) if out else []
    print_json(result.to_json()) if json else print(result)
    for path in paths:
        print(f"wrote {path}", file=sys.stderr)
