"""`python -m figures report`, and `rmaat report`: the page from the command line."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from foundation import cli
from foundation.errors import UserError
from foundation.files import check_writable

HELP = """Write one offline HTML page: the chain, the derivation, what was trained, and how to get it again.

RUNS are folders of runs or studies, at any depth, and JSON files of studies; without any, the page shows the record.

\b
  python -m figures report runs/recall --out report.html
  python -m figures report runs/mine results/lra/quick.json --out report.html --against rmt
  python -m figures report --no-simulation --out record.html
  python -m figures report runs/recall --follow --out report.html    again and again, until the run is finished
"""
app = cli.program(HELP, verbs=False)
READ = 0.3  # of the work: the runs are read


@app.command(name="report", help=HELP)
def report(
    runs: Annotated[list[Path] | None, typer.Argument(metavar="RUNS", help="folders of runs, files of studies")] = None,
    out: Annotated[Path, typer.Option("--out", help="the page")] = Path("report.html"),
    record_file: Annotated[Path | None, typer.Option("--record", help="a record; the committed one by default")] = None,
    against: Annotated[str, typer.Option("--against", help="the network that differences are taken from")] = "rmaat",
    simulation: Annotated[bool, typer.Option(help="simulate for the pictures of the second part")] = True,
    follow: Annotated[bool, typer.Option("--follow", help=(
        "write the page again and again until its runs are finished; the open page loads itself anew"))] = False,
    every: Annotated[float, typer.Option("--every", help="with --follow: seconds between two looks")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="print the page's path and size as JSON")] = False,
    version: cli.Version = False,
):
    if follow and not runs:
        raise UserError("--follow: there is nothing to follow; name the folder of a run")
    if not 1 <= every <= 86_400:
        raise UserError(f"--every: {every:g} is not allowed; give seconds from 1 to 86400")
    check_writable(out)
    from derivation.record import record
    from figures.report import gathering, live, page

    loaded = record.load(record_file)
    with cli.Progress("report", 1) as bar:
        found = None if follow else gathering.gather(
            runs or (), lambda done, of: bar.update(READ * done / of, f"run {done} of {of}"))
        drawn = page.unchanging(loaded, simulate=simulation, record_file=record_file,
                                workers=os.cpu_count() or 1,
                                told=lambda share, words: bar.update(READ + (1 - READ) * share, words))
        if found is not None:
            page.write(page.page(found, drawn, against=against), out)
    if found is None:
        print(f"{out} follows its runs, every {every:g} s; open it in a browser", file=sys.stderr, flush=True)
        live.follow(runs, out, drawn, every=every, against=against)
    size = out.stat().st_size
    return cli.print_json({"page": str(out), "bytes": size}) if as_json else print(f"{out}: {size:,} bytes")


def called(arguments: list[str], name: str) -> None:
    """Run the command from another program's line, under the name that was called there.

    It takes Ctrl-C and SIGTERM for itself and hands back an exit code, which is passed on.
    """
    code = typer.main.get_command(app).main(arguments, prog_name=name, standalone_mode=False)
    if code:
        raise typer.Exit(code)
