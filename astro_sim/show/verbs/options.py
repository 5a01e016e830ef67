"""Options that several verbs take, and how their text is read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from astro_sim.plan import DEFAULT_DT, DEFAULT_DURATION
from foundation.errors import UserError
from foundation.files import check_writable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg", ".pdf")
Many = list[str] | None
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A name from the verb list, NAME:SET, or one of your "
                                          "own as file.py:MODEL or file.py:MODEL:SET.")]
SetName = Annotated[str | None, typer.Option("--set-name", help="Parameter set, as in MODEL:SET.")]
RecordingFile = Annotated[Path, typer.Argument(metavar="FILE", help="A recording (.nc).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Force = Annotated[bool, typer.Option("--force", help="Replace --out if it already exists.")]
Protocols = Annotated[Many, typer.Option("--protocol", help="KIND:input=...,...: constant, steps, ramp, square, "
                                         "cycles, exponential, alpha, sine, expression, samples; spikes, regular, "
                                         "poisson, pairing, raster for spikes. Several add up. See protocols.")]
Options = Annotated[Many, typer.Option("--option", help="NAME=VALUE: a structural option.")]
Duration = Annotated[str, typer.Option("--duration", help="Simulated time.")]
Step = Annotated[str, typer.Option("--dt", help="Time step.")]
RecordEvery = Annotated[str | None, typer.Option("--record-every", help="Recording interval, a multiple of dt.")]
Method = Annotated[str | None, typer.Option("--method", help="auto: error control where the model is ODEs alone, "
                                            "else its own. Steps of dt: euler, rk2, rk4, exponential_euler; heun or "
                                            "milstein for noise. Error control by name: lsoda, bdf, dop853.")]
Rtol = Annotated[float | None, typer.Option("--rtol", help="Relative tolerance of error control.")]
Atol = Annotated[float | None, typer.Option("--atol", help="Absolute tolerance, in the unit of each variable.")]
BackendName = Annotated[str, typer.Option("--backend", help="auto: what an estimate finds quickest. numpy, cython or "
                                          "cpp: steps by Brian2; scipy: error control.")]
__all__ = ["DEFAULT_DT", "DEFAULT_DURATION", "Atol", "BackendName", "Duration", "Force", "Json", "Many", "Method",
           "ModelName", "Options", "Protocols", "RecordEvery", "RecordingFile", "Rtol", "SetName", "Step", "check_out",
           "check_picture", "pairs", "save_picture"]


def check_picture(out: Path | None, option: str) -> None:
    """Refuse a picture of a kind that cannot be written."""
    if out is not None and out.suffix not in PICTURES:
        raise UserError(f"{option}: {out} ends in none of {', '.join(PICTURES)}; choose one of them")


def save_picture(figure: "Figure", out: Path) -> None:
    """Write a picture whole or not at all."""
    from foundation.pictures import write_picture

    write_picture(figure, out, format=out.suffix[1:], dpi=160, bbox_inches="tight")


def pairs(option: str, texts: Many) -> dict[str, str]:
    """["NAME=VALUE", ...] -> {NAME: VALUE}. Errors: `UserError` for another form, or a name given twice."""
    values: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise UserError(f"--{option}: '{text}' is not NAME=VALUE; write e.g. --{option} \"NAME=0.5 umolar\"")
        if name in values:
            raise UserError(f"--{option}: {name} is given twice; give it once")
        values[name] = value
    return values


def check_out(out: Path | None, force: bool, option: str = "--out") -> None:
    """Refuse before the work what could not be written after it."""
    if out is None:
        raise UserError("--out is missing; name the recording to write, e.g. --out calcium.nc, or use --dry-run")
    if out.is_dir():
        raise UserError(f"{option}: {out} is a folder; name a file such as {out / 'recording.nc'}")
    if out.exists() and not force:
        raise UserError(f"{option}: {out} already exists; choose another name, or give --force to replace it")
    check_writable(out, option)
