"""The verb run with several seeds: a folder of recordings, and what they say together."""

from pathlib import Path
from typing import Any

import typer

from foundation.cli import print_json
from foundation.errors import UserError

TOGETHER = "ensemble.nc"


def run_seeds(model: str, protocol: list[str] | None, out: Path | None, *, seeds: str | None,
              events: list[str] | None, force: bool, as_json: bool, **settings: Any) -> None:
    """Simulate with each seed into the folder `out`; print and keep mean, spread and events.

    Exit code 1 where a member failed.
    """
    from astro_sim.recording import netcdf
    from astro_sim.run.ensembles import ensemble
    from foundation.files import check_writable, replacing

    if seeds is None:
        raise UserError("--events: counts events over several seeds; give --seeds, or analyse a recording: astro-sim "
                        "analyse FILE --events ...")
    if out is None or out.suffix == ".nc" or out.is_file():
        raise UserError(f"--out: {out or 'nothing'} is no folder; several seeds are written into one, e.g. --out "
                        "members")
    if (out / TOGETHER).exists() and not force:
        raise UserError(f"--out: {out / TOGETHER} already exists; choose another folder, or give --force to replace it")
    check_writable(out, folder=True)
    found = ensemble(model, protocol, seeds=seeds, events=events or (), folder=out, progress=not as_json, **settings)
    with replacing(out / TOGETHER) as temporary:
        netcdf.write(found.to_xarray(), temporary)
    if as_json:
        print_json({"out": str(out), "model": found.model, "seeds": list(found.seeds), "hashes": list(found.hashes),
                    "events": found.statistics(), "failed": {str(seed): why for seed, why in found.missing.items()}})
    else:
        print(f"{found}\nmean and spread: {out / TOGETHER}")
    if found.missing:
        raise typer.Exit(1)
