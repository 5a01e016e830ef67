"""The verbs analyse, plot, export and report: what a recording says, in words, pictures, and formats of others."""

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from astro_sim.show.verbs.options import Force, Json, Many, RecordingFile, check_out, check_picture, save_picture
from foundation.cli import print_json
from foundation.errors import UserError, choose

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def analyse(
    file: RecordingFile,
    after: Annotated[str | None, typer.Option(help="Leave out what comes before. Default: the first half.")] = None,
    events: Annotated[Many, typer.Option(metavar="VARIABLE>LEVEL", help="Also detect events, such as \"C>0.3 uM\" or, "
                                         "downward, \"h<0.5\"; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Ranges and oscillations of every variable; waves, equilibria, AM/FM encoding and events where they apply."""
    from astro_sim.analysis.detection import detect
    from astro_sim.analysis.summary import summarise, text
    from astro_sim.parameter import read
    from astro_sim.recording.recording import PartialRecording, Recording

    start = None if after is None else read(after, "second", "after")
    with warnings.catch_warnings(action="ignore", category=PartialRecording):
        recording = Recording.load(file)
    if recording.partial:
        print(f"note: {recording.said_partial}", file=sys.stderr)
    detected = [detect(recording, condition, after=start or 0.0) for condition in events or ()]
    summary = summarise(recording, start, progress=not as_json)
    if as_json:
        told = [found.statistics() | {"events": found.to_dict()} for found in detected]
        return print_json(summary | ({"detected": told} if detected else {}))
    return print("\n".join([text(summary), *(f"\n{found}" for found in detected)]))


def plot(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording (.nc), or a diagram of scan (.json).")],
    out: Annotated[Path, typer.Option(help="The picture to write: .png, .svg or .pdf.")],
    variable: Annotated[Many, typer.Option(help="What to draw; all by default.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """A panel for each variable of a recording, or a bifurcation diagram; axes with words and units."""
    check_picture(out, "--out")
    check_out(out, force)
    figure, told = (_diagram if file.suffix == ".json" else _recording)(file, variable)
    save_picture(figure, out)
    return print_json({"out": str(out), **told}) if as_json else print(out)


def _recording(file: Path, variables: Many) -> tuple["Figure", dict]:
    from astro_sim.recording.recording import Recording

    recording = Recording.load(file)
    drawn = variables or list(recording.variables)
    return recording.plot(variables), {"recording": recording.hash, "variables": drawn}


def _diagram(file: Path, variables: Many) -> tuple["Figure", dict]:
    from astro_sim.dynamics.diagram import Diagram

    diagram = Diagram.load(file)
    if variables and len(variables) > 1:
        raise UserError(f"--variable: a diagram draws one state, not {', '.join(variables)}; give one")
    drawn = variables[0] if variables else diagram.variable
    return diagram.plot(variable=drawn), {"diagram": f"{diagram.model} over {diagram.input}", "variables": [drawn]}


def export(
    file: RecordingFile,
    to: Annotated[str | None, typer.Option(metavar="FORMAT", help="csv, parquet or nwb; by default as --out "
                                           "ends.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; by default beside the recording.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """A recording as CSV, Parquet or NWB (Neurodata Without Borders), for programs that read no NetCDF."""
    from astro_sim.recording.export import EXPORTS
    from astro_sim.recording.recording import Recording

    if to is None and out is None:
        raise UserError(f"--to is missing; choose one of: {', '.join(EXPORTS)}")
    kind = to or out.suffix.removeprefix(".")
    choose("format", kind, EXPORTS)
    target = file.with_suffix(f".{kind}") if out is None else out
    check_out(target, force)
    written = Recording.load(file).export(target, kind)
    return print_json({"out": list(map(str, written))}) if as_json else print("\n".join(map(str, written)))


def report(
    file: RecordingFile,
    out: Annotated[Path | None, typer.Option(help="The page to write; by default beside the recording.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """A recording as one offline page: its courses and events as pictures with their numbers, and what it says."""
    from foundation.offers import offered

    target = file.with_suffix(".html") if out is None else out
    check_out(target, force)
    offered("recording")(file, target)
    return print_json({"out": str(target), "bytes": target.stat().st_size}) if as_json else print(target)
