"""The verb sweep: simulate over every combination of values, and measure what came out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from astro_sim.show.verbs.options import (
    DEFAULT_DT,
    DEFAULT_DURATION,
    Atol,
    BackendName,
    Duration,
    Json,
    Many,
    Method,
    ModelName,
    Options,
    Protocols,
    RecordEvery,
    Rtol,
    SetName,
    Step,
    check_picture,
    pairs,
    save_picture,
)
from foundation.cli import print_json
from foundation.errors import UserError
from foundation.files import check_writable
from foundation.table import Table

if TYPE_CHECKING:
    import xarray


def sweep_model(
    model: ModelName,
    out: Annotated[Path, typer.Option(help="The folder for the recordings; those already there are kept.")],
    vary: Annotated[list[str], typer.Option(help="NAME=VALUE UNIT,VALUE UNIT,...: all combinations. NAME is a "
                                            "parameter, initial.NAME, input.NAME or seed.")],
    protocol: Protocols = None, option: Options = None, set_name: SetName = None,
    duration: Duration = DEFAULT_DURATION, dt: Step = DEFAULT_DT, record_every: RecordEvery = None,
    method: Method = None,
    backend: BackendName = "auto", rtol: Rtol = None, atol: Atol = None,
    shard: Annotated[str, typer.Option(help="I/N: only the I-th of N parts.")] = "1/1",
    workers: Annotated[int | None, typer.Option(help="Processes; by default this one, and where it pays as many as "
                                                "cores.")] = None,
    measure: Annotated[Many, typer.Option(metavar="MEASURE", help="Also print a number of each recording, such as "
                                          "\"period(C)\" or \"event_rate(C>0.3 uM)\"; may be repeated.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the first --measure over what was varied: .png, .svg or "
                                                 ".pdf.")] = None,
    after: Annotated[str | None, typer.Option(help="For --measure: leave out what comes before. Default: the first "
                                              "half; for events nothing.")] = None,
    as_json: Json = False,
) -> None:
    """Simulate every combination of parameter values, each into a file named by its hash; index.csv lists them.

    Exit code 1 where a point failed.
    """
    from astro_sim.analysis.named import named
    from astro_sim.run.sweeps import grid, sweep

    for text in measure or ():
        named(text)
    if picture and not measure:
        raise UserError("--picture: draws a number of each recording; name one with --measure, as in --measure "
                        "\"period(C)\"")
    if after and not measure:
        raise UserError("--after: is for the numbers of --measure; name one, or leave it out")
    check_picture(picture, "--picture")
    check_writable(out, folder=True)
    if picture is not None:
        check_writable(picture, "--picture")

    varied = {name: [value.strip() for value in values.split(",")] for name, values in pairs("vary", vary).items()}
    points = grid(varied, model=model, protocol=protocol, options=pairs("option", option), parameter_set=set_name,
                  duration=duration, dt=dt, record_every=record_every, method=method, backend=backend,
                  rtol=rtol, atol=atol)
    outcome = sweep(points, out, workers=workers, shard=shard, progress=not as_json)
    numbers = outcome.to_xarray(*measure, after=after) if measure and outcome.points else None
    if picture and numbers is not None:
        from astro_sim.run.sweep_plot import plot_measured

        save_picture(plot_measured(numbers[measure[0].strip()]), picture)
    if as_json:
        print_json({"done": [str(path) for path in outcome.done], "kept": [str(path) for path in outcome.kept],
                    "failed": outcome.failed} | ({} if numbers is None else {"measured": _rows(numbers)}))
    else:
        print(f"{out}: {len(outcome.done)} done, {len(outcome.kept)} were there, {len(outcome.failed)} failed")
        print("".join(f"  {name[:12]}: {message}\n" for name, message in outcome.failed.items()), end="")
        if numbers is not None:
            print(_table(numbers))
    if outcome.failed:
        raise typer.Exit(1)


def _rows(numbers: "xarray.Dataset") -> list[dict]:
    """A row a point: what was varied, and its numbers; None where it has none."""
    frame = numbers.to_dataframe().reset_index()
    return [{name: None if value != value else value for name, value in row.items() if value != ""}
            for row in frame.to_dict("records")]


def _table(numbers: "xarray.Dataset") -> Table:
    """The same as a table, with units in its heads."""
    from astro_sim.recording.labels import label

    heads = [str(name) for name in [*numbers.coords, *numbers.data_vars] if not str(name).endswith(": why not")]
    rows = [["no value" if row.get(head) is None else f"{row[head]:.6g}" if isinstance(row[head], float) else row[head]
             for head in heads] for row in _rows(numbers)]
    return Table([label(head, numbers[head].attrs.get("units", "1")) for head in heads], rows)
