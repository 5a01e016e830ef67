"""`python -m figures`: draw."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from foundation import cli
from foundation.errors import choose
from foundation.files import check_writable

# name: (module, what it shows, whether it needs --run)
FIGURES = {
    "cover": ("figures.fig_cover", "the project on one picture", False),
    "architecture": ("figures.fig_architecture", "from papers to the network: the rooms and their borders", False),
    "stp_ltp": ("figures.fig_stp_ltp", "short- and long-term processes over the cycles", False),
    "places": ("figures.fig_places", "short-term state by place, equal and unequal distances", False),
    "retention": ("figures.fig_retention", "recorded increments, closed form, torch buffer", False),
    "retention_lengths": ("figures.fig_retention_lengths", "retention for several numbers of segments", False),
    "kernel": ("figures.fig_kernel", "recorded response, closed form, torch kernel", False),
    "wave": ("figures.fig_wave", "calcium waves on a ring of astrocytes, by gap-junction flux", False),
    "bifurcation": ("figures.fig_bifurcation", "equilibria and oscillations of calcium over IP3", False),
    "glutamate": ("figures.fig_glutamate", "courses of calcium, IP3 and h under three levels of glutamate", False),
    "release_rate": ("figures.fig_release_rate", "release against presynaptic rate, with and without astrocyte", False),
    "pairing_curve": ("figures.fig_pairing_curve", "change of strength by pairs of spikes", False),
    "phase_plane": ("figures.fig_phase_plane", "nullclines, equilibria and a course of calcium and h", False),
    "trace_matrix": ("figures.fig_trace_matrix", "what each parameter moves: constants and tensors", False),
    "reductions": ("figures.fig_reductions", "full biophysical models against the macro constants", False),
    "uncertainty": ("figures.fig_uncertainty", "retention and kernel: bands of draws, published sets", False),
    "raster": ("figures.fig_raster", "spikes of a network, calcium of its astrocytes, receptors bound", False),
    "synapse_map": ("figures.fig_synapse_map", "which astrocyte each synapse belongs to", False),
    "graphs": ("figures.fig_graphs", "gap junctions as graphs: who is joined, how many links", False),
    "algorithms": ("figures.fig_algorithms", "memory and time of a step by gradient algorithm, from results/", False),
    "training": ("figures.fig_training", "loss and accuracy of a training run", True),
}

HELP = """Draw figures as PNG and SVG, stamped with record and commit. No verb: names are figures, none means all.

\b
  python -m figures --list
  python -m figures --out output                        all but training, which needs a run
  python -m figures retention kernel --out output
  python -m figures training --run runs/recall --out output
  python -m figures cover architecture --format png --out docs/pictures
  python -m figures report runs/recall --out report.html   one page of runs; 'report --help' says more
"""
ENDINGS = ("png", "svg")
app = cli.program(HELP, verbs=False)


@app.command(help=HELP)
def figures(
    names: Annotated[list[str] | None, typer.Argument(help="figures to draw; by default all that can be drawn")] = None,
    out: Annotated[Path, typer.Option("--out", help="folder for the files")] = Path("output"),
    record_file: Annotated[Path | None, typer.Option("--record", help="a record; the committed one by default")] = None,
    run: Annotated[Path | None, typer.Option("--run", help="a training run's folder")] = None,
    only_list: Annotated[bool, typer.Option("--list", help="list the figures")] = False,
    ending: Annotated[str | None, typer.Option("--format", help="png or svg alone; both by default")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would be drawn, draw nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the paths as JSON")] = False,
    version: cli.Version = False,
):
    if only_list and as_json:
        return cli.print_json({name: {"shows": what, "needs_run": needs} for name, (_, what, needs) in FIGURES.items()})
    if only_list:
        for name, (_, what, needs_run) in FIGURES.items():
            print(f"{name:17} {what}{' (--run DIR)' if needs_run else ''}")
        return None
    for name in names or ():
        choose("figure", name, FIGURES)
    chosen = names or [name for name, (_, _, needs_run) in FIGURES.items() if run or not needs_run]
    endings = ENDINGS if ending is None else (choose("format", ending, {one: one for one in ENDINGS}),)
    if not dry_run:
        check_writable(out, folder=True)
    if dry_run:
        paths = [f"{out / name}.{one}" for name in chosen for one in endings]
    else:
        paths = [str(path) for path in draw(chosen, out, record_file=record_file, run=run, endings=endings)]
    return cli.print_json(paths) if as_json else print("\n".join(paths))


def draw(names: list[str], out: Path, *, record_file: Path | None = None, run: Path | None = None,
         endings: tuple[str, ...] = ENDINGS) -> list[Path]:
    """Draw the named figures into `out`, a file for each of `endings`; returns the files."""
    import importlib

    from derivation.record import record
    from figures import style
    from figures.sources import Sources
    from foundation.checkout import commit

    loaded = record.load(record_file)
    sources = Sources(loaded, run)
    stamp = f"record {loaded.hash[:12]}, commit {(commit() or 'none')[:12]}"
    paths = []
    for name in names:
        figure = importlib.import_module(FIGURES[name][0]).draw(sources)
        paths += style.save(figure, out, name, stamp=stamp, endings=endings)
    return paths


def main() -> None:
    """The console script astro-figures. `report` makes a page of runs, which is no figure: its own command."""
    if sys.argv[1:2] == ["report"]:
        from figures.report import verb

        sys.argv.pop(1)
        cli.run(verb.app)
    cli.run(app)


if __name__ == "__main__":
    main()
