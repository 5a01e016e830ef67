"""`python -m figures`: draw."""

from pathlib import Path
from typing import Annotated

import typer

from foundation import cli
from foundation.errors import choose

# name: (module, what it shows, whether it needs --run)
FIGURES = {
    "stp_ltp": ("figures.fig_stp_ltp", "short- and long-term processes over the cycles", False),
    "places": ("figures.fig_places", "short-term state by place, equal and unequal distances", False),
    "retention": ("figures.fig_retention", "recorded increments, closed form, torch buffer", False),
    "kernel": ("figures.fig_kernel", "recorded response, closed form, torch kernel", False),
    "wave": ("figures.fig_wave", "calcium waves on a ring of astrocytes, by gap-junction flux", False),
    "bifurcation": ("figures.fig_bifurcation", "equilibria and oscillations of calcium over IP3", False),
    "traces": ("figures.fig_traces", "calcium, IP3 and h under three levels of glutamate", False),
    "release_rate": ("figures.fig_release_rate", "release against presynaptic rate, with and without astrocyte", False),
    "pairing_curve": ("figures.fig_pairing_curve", "change of strength by pairs of spikes", False),
    "phase_plane": ("figures.fig_phase_plane", "nullclines, equilibria and a course of calcium and h", False),
    "trace_matrix": ("figures.fig_trace_matrix", "what each parameter moves: constants and tensors", False),
    "reductions": ("figures.fig_reductions", "full biophysical models against the macro constants", False),
    "uncertainty": ("figures.fig_uncertainty", "retention and kernel: bands of draws, published sets", False),
    "raster": ("figures.fig_raster", "spikes of a network, calcium of its astrocytes, receptors bound", False),
    "synapse_map": ("figures.fig_synapse_map", "which astrocyte each synapse belongs to", False),
    "training": ("figures.fig_training", "loss and accuracy of a training run", True),
}

HELP = """Draw figures as PNG and SVG, stamped with record and commit. No verb: names are figures, none means all.

\b
  python -m figures --list
  python -m figures --out output                        all but training, which needs a run
  python -m figures retention kernel --out output
  python -m figures training --run runs/recall --out output
"""
app = cli.program(HELP, verbs=False)


@app.command(help=HELP)
def figures(
    names: Annotated[list[str] | None, typer.Argument(help="figures to draw; all that can be by default")] = None,
    out: Annotated[Path, typer.Option("--out", help="folder for the files")] = Path("output"),
    record_file: Annotated[Path | None, typer.Option("--record", help="a record; the committed one by default")] = None,
    run: Annotated[Path | None, typer.Option("--run", help="a training run's folder")] = None,
    only_list: Annotated[bool, typer.Option("--list", help="list the figures")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be drawn")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the paths as JSON")] = False,
    version: cli.Version = False,
):
    if only_list:
        for name, (_, what, needs_run) in FIGURES.items():
            print(f"{name:12} {what}{' (--run DIR)' if needs_run else ''}")
        return
    for name in names or ():
        choose("figure", name, FIGURES)
    chosen = names or [name for name, (_, _, needs_run) in FIGURES.items() if run or not needs_run]
    if dry_run:
        print("\n".join(f"{out / name}.{ending}" for name in chosen for ending in ("png", "svg")))
        return
    paths = [str(path) for path in draw(chosen, out, record_file, run)]
    cli.print_json(paths) if as_json else print("\n".join(paths))


def draw(names: list[str], out: Path, record_file: Path | None = None, run: Path | None = None) -> list[Path]:
    """Draw the named figures into `out`; returns the files."""
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
        paths += style.save(figure, out, name, stamp)
    return paths


def main() -> None:
    """The console script astro-figures."""
    cli.run(app)


if __name__ == "__main__":
    main()
