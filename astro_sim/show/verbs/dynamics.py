"""The verb scan: what a model does over one input or parameter."""

from pathlib import Path
from typing import Annotated

import typer

from astro_sim.show.verbs.options import (
    Force,
    Json,
    Many,
    ModelName,
    SetName,
    check_out,
    check_picture,
    pairs,
    save_picture,
)


def scan_model(
    model: ModelName,
    over: Annotated[str, typer.Option(help="NAME=LOW:HIGH:POINTS: an input or a parameter, in its unit or with one.")],
    out: Annotated[Path | None, typer.Option(help="The diagram to write (.json or .nc).")] = None,
    picture: Annotated[Path | None, typer.Option(help="The picture to draw: .png, .svg or .pdf.")] = None,
    set_name: SetName = None,
    held: Annotated[Many, typer.Option("--input", help="NAME=VALUE UNIT: another input, held there.")] = None,
    box: Annotated[Many, typer.Option("--box", help="STATE=LOW:HIGH UNIT: where to search, for a state without bounds "
                                      "of its own.")] = None,
    variable: Annotated[str | None, typer.Option(help="The state whose oscillations are measured; the first by "
                                                 "default.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Bifurcation diagram: all branches of equilibria, stability, Hopf points, folds, oscillations."""
    from astro_sim.dynamics import diagram as diagrams
    from astro_sim.dynamics import scan
    from astro_sim.dynamics.asked import parse_box, parse_over

    if out is not None:
        check_out(out, force)
        diagrams.check_ending(out)
    if picture is not None:
        check_picture(picture, "--picture")
        check_out(picture, force, option="--picture")
    name, low, high, points = parse_over(over)
    found = scan(model, name, low=low, high=high, points=points, parameter_set=set_name,
                 inputs=pairs("input", held), box=parse_box(box or []), variable=variable)
    if out is not None:
        found.save(out)
    if picture is not None:
        save_picture(found.plot(), picture)
    print(found.to_json() if as_json else found)
