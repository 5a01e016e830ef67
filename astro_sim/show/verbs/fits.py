"""The verb fit: a model fitted to data."""

from pathlib import Path
from typing import Annotated

import typer

from astro_sim.show.verbs.options import (
    Force,
    Json,
    Many,
    ModelName,
    Options,
    Protocols,
    SetName,
    check_out,
    check_picture,
    pairs,
    save_picture,
)
from foundation.cli import print_json
from foundation.errors import UserError


def fit_model(
    model: ModelName,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A CSV file with units in its heads, as in \"t (s), C "
                                         "(uM)\"; or a recording (.nc).")],
    free: Annotated[list[str], typer.Option(metavar="NAME=LOW:HIGH", help="What may change: a parameter, an input that "
                                            "is held, or initial.NAME, between two bounds in its unit or with one; "
                                            "NAME=LOW:HIGH:START to start there. May be repeated.")],
    variable: Annotated[Many, typer.Option(help="A column to fit; all by default.")] = None,
    column: Annotated[Many, typer.Option(metavar="NAME=VARIABLE", help="A column's name in the data and in the "
                                         "model.")] = None,
    feature: Annotated[Many, typer.Option(metavar="MEASURE", help="Fit numbers of the data instead of the courses, "
                                          "such as \"period(C)\" and \"peak(C)\".")] = None,
    sets: Annotated[Many, typer.Option("--set", help="NAME=VALUE UNIT: change a parameter.")] = None,
    protocol: Protocols = None, option: Options = None,
    initial: Annotated[Many, typer.Option(help="NAME=VALUE UNIT: an initial value.")] = None,
    set_name: SetName = None,
    duration: Annotated[str | None, typer.Option(help="Simulated time. Default: to the last time of the data.")] = None,
    dt: Annotated[str | None, typer.Option("--dt", help="Longest time step.")] = None,
    method: Annotated[str | None, typer.Option(help="As in run.")] = None,
    after: Annotated[str | None, typer.Option(help="For --feature: leave out what comes before. Default: the first "
                                              "half.")] = None,
    starts: Annotated[int | None, typer.Option(help="Starts of the search; 8 for each that is free by "
                                               "default.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of where they are.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Also write the result as JSON.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw data and fit: .png, .svg or .pdf.")] = None,
    recording: Annotated[Path | None, typer.Option(help="Write the recording of the fitted model (.nc).")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Fit MODEL to DATA by least squares: values with 95 % intervals, and how closely the data are followed."""
    from astro_sim.run.fitting.data_fit import fit

    check_picture(picture, "--picture")
    if picture and feature:
        raise UserError("--picture: features have no course to draw; leave it out, or write the --recording")
    for written in (out, picture, recording):
        if written is not None:
            check_out(written, force)
    found = fit(model, data, free=pairs("free", free), protocol=protocol, features=feature or (),
                variables=variable or (), columns=pairs("column", column), parameter_set=set_name,
                parameters=pairs("set", sets), options=pairs("option", option), initial=pairs("initial", initial),
                duration=duration, dt=dt, method=method, after=after, starts=starts, seed=seed, progress=not as_json)
    if out is not None:
        found.save(out)
    if recording is not None:
        found.recording.save(recording)
    if picture is not None:
        save_picture(found.plot(), picture)
    return print_json(found.as_dict()) if as_json else print(found)
