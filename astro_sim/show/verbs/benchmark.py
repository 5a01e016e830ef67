"""The verb benchmark: what a step costs."""

from pathlib import Path
from typing import Annotated

import typer

from astro_sim.show.verbs.options import Force, Json, check_out
from foundation import sealed
from foundation.cli import print_json
from foundation.errors import UserError

KIND = "benchmark"


def run_benchmark(
    sizes: Annotated[str, typer.Option(help="Numbers of astrocytes, separated by commas.")] = (
        "100,1000,10000,100000,1000000"),
    repetitions: Annotated[int, typer.Option(help="Repetitions of each comparison.")] = 5,
    backend: Annotated[str, typer.Option(help="numpy, cython, or both, separated by a comma.")] = "numpy,cython",
    everyday: Annotated[bool, typer.Option("--everyday", help="Only the table of everyday work: one cell, a fit, "
                                           "periods, an analysis, the choice of backend.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the result as JSON to this file.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Cost of a step by network size, and simulate against bare Brian2 and LSODA; after a check of the results."""
    from astro_sim.benchmark import report

    if out is not None:
        check_out(out, force)
    if everyday:
        from astro_sim.benchmark import everyday as daily

        rows = daily.everyday()
        if out is not None:
            sealed.write(out, KIND, {"everyday": rows})
        return print_json({"everyday": rows}) if as_json else print(daily.text(rows))
    try:
        numbers = [int(part) for part in sizes.split(",")]
    except ValueError as error:
        raise UserError(f"--sizes: '{sizes}' are not whole numbers; write e.g. --sizes 100,1000") from error
    measured = report.benchmark(numbers, repetitions=repetitions, backends=backend.split(","), progress=not as_json)
    if out is not None:
        sealed.write(out, KIND, measured)
    return print_json(measured) if as_json else print(report.text(measured))
