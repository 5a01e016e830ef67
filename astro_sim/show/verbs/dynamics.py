"""The verb scan: what a model does over one input."""

from pathlib import Path
from typing import Annotated

import typer

from astro_sim.show.verbs.options import Force, Json, ModelName, SetName, check_out
from foundation.cli import print_json


def scan_model(
    model: ModelName,
    over: Annotated[str, typer.Option(help="INPUT=LOW:HIGH:POINTS, in the input's unit or with one.")],
    out: Annotated[Path | None, typer.Option(help="The diagram to write (.json or .nc).")] = None,
    set_name: SetName = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Bifurcation diagram over one input: all branches of equilibria, stability, Hopf points, folds, oscillations."""
    from dataclasses import asdict

    from astro_sim.dynamics import diagram as diagrams
    from astro_sim.dynamics import scanning

    if out is not None:
        check_out(out, force)
        diagrams.check_ending(out)
    name, low, high, points = scanning.parse_over(over)
    diagram = scanning.scan(model, name, low, high, points=points, parameter_set=set_name)
    if out is not None:
        diagram.save(out)
    return print_json(asdict(diagram)) if as_json else print(diagrams.text(diagram))
