"""`python -m figures report`: the page from the command line."""

from pathlib import Path
from typing import Annotated

import typer

from foundation import cli
from foundation.files import check_writable

HELP = """Write one offline HTML page: the chain, the derivation, what was trained, and how to get it again.

RUNS are folders of runs or studies, at any depth, and JSON files of studies; without any, the page shows the record.

\b
  python -m figures report runs/recall --out report.html
  python -m figures report runs/mine results/lra/quick.json --out report.html --against rmt
  python -m figures report --no-simulation --out record.html
"""
app = cli.program(HELP, verbs=False)


@app.command(name="report", help=HELP)
def report(
    runs: Annotated[list[Path] | None, typer.Argument(metavar="RUNS", help="folders of runs, files of studies")] = None,
    out: Annotated[Path, typer.Option("--out", help="the page")] = Path("report.html"),
    record_file: Annotated[Path | None, typer.Option("--record", help="a record; the committed one by default")] = None,
    against: Annotated[str, typer.Option("--against", help="the network that differences are taken from")] = "rmaat",
    simulation: Annotated[bool, typer.Option(help="simulate for the pictures of the second part")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print the page's path and size as JSON")] = False,
    version: cli.Version = False,
):
    check_writable(out)
    from derivation.record import record
    from figures.report import page

    loaded = record.load(record_file)
    with cli.Progress("runs", 1) as bar:
        def told(done: int, of: int) -> None:
            bar.update(done / max(of, 1), f"{done} of {of}")

        page.report(runs or (), out, record=loaded, against=against, simulate=simulation, told=told)
    size = out.stat().st_size
    return cli.print_json({"page": str(out), "bytes": size}) if as_json else print(f"{out}: {size:,} bytes")
