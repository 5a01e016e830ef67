"""The simulator's command line: list, show, protocols, run, sweep, analyse, scan."""

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from foundation.cli import print_json, program, run
from foundation.errors import UserError

app = program("""Simulate neurons and astrocytes; every parameter has a unit and a source.

\b
Examples:
  python -m astro_sim list
  python -m astro_sim show li_rinzel:FM
  python -m astro_sim show tripartite --markdown > tripartite.md
  python -m astro_sim run li_rinzel --duration 60s --dt 2ms --out calcium.nc
  python -m astro_sim run li_rinzel --set "K_P=0.06 umolar" --protocol "constant:input=ip3,value=0.4 umolar" --out c.nc
  python -m astro_sim run macro --protocol "cycles:input=b_pre,high=1,period=11.5s,duty=0.5,count=6" \\
      --option layout=equal --duration 69s --dt 5ms --out macro.nc
  python -m astro_sim sweep li_rinzel --vary "K_P=0.05 umolar,0.1 umolar" --dt 5ms --out sweep --shard 1/2
  python -m astro_sim sweep li_rinzel --vary "input.ip3=0.3 umolar,0.5 umolar" --backend cpp --dt 5ms --out sweep
  python -m astro_sim run astrocyte_network --option n_columns=5000 --duration 3600s --dt 10ms --stream --out long.nc
  python -m astro_sim analyse calcium.nc
  python -m astro_sim benchmark --sizes 100,1000
  python -m astro_sim plot calcium.nc --out calcium.png
  python -m astro_sim scan li_rinzel --over ip3=0:1:200 --out diagram.json
""")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
SetName = Annotated[str | None, typer.Option("--set-name", help="Parameter set, as in MODEL:SET.")]
Many = list[str] | None


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """The models, with their parameter sets, inputs, options."""
    from astro_sim.models import MODELS

    rows = {name: {"summary": model.summary, "parameter_sets": list(model.parameter_sets),
                   "inputs": [*model.inputs, *model.spike_inputs], "sources": list(model.sources),
                   "options": {key: list(o.allowed) for key, o in model.options.items()}}
            for name, model in MODELS.items()}
    if as_json:
        return print_json(rows)
    for name, row in rows.items():
        print(f"{name:26} {row['summary']}")
        print(f"{'':26} sets: {', '.join(row['parameter_sets'])}; inputs: {', '.join(row['inputs'])}"
              + (f"; options: {', '.join(row['options'])}" if row["options"] else ""))
    return None


@app.command()
def show(
    model: str,
    set_name: SetName = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Markdown with rendered equations.")] = False,
    as_json: Json = False,
) -> None:
    """Equations, parameters, units and sources of a model."""
    from astro_sim.plan import find_model
    from astro_sim.show import describe

    found, parameter_set = find_model(model, set_name)
    if as_json:
        return print_json(describe.as_dict(found, parameter_set))
    if as_markdown:
        from astro_sim.show import markdown

        return print(markdown.as_markdown(found, parameter_set), end="")
    print(describe.as_text(found, parameter_set))
    return None


@app.command()
def cite(model: str, set_name: SetName = None, as_json: Json = False) -> None:
    """What to cite for MODEL (or MODEL:SET, or a recording's file), as BibTeX."""
    from astro_sim.recording.recording import Recording
    from astro_sim.show import citations

    given = Recording.load(model) if model.endswith(".nc") else model
    if as_json:
        return print_json(citations.citations(given, set_name))
    return citations.print_citations(given, set_name)


@app.command()
def protocols(as_json: Json = False) -> None:
    """The kinds of protocol, with their arguments and an example each."""
    from astro_sim.protocols import about, about_text

    return print_json(about()) if as_json else print(about_text())


@app.command("run")
def run_model(
    model: str,
    out: Annotated[Path | None, typer.Option(help="The recording to write (NetCDF, .nc).")] = None,
    sets: Annotated[Many, typer.Option("--set", help="NAME=VALUE UNIT: change a parameter.")] = None,
    protocol: Annotated[Many, typer.Option(help="KIND:input=...,...: constant, steps, ramp, square, "
                                            "cycles; spikes, regular, poisson, pairing for spikes. See the verb "
                                            "protocols.")] = None,
    option: Annotated[Many, typer.Option(help="NAME=VALUE: a structural option.")] = None,
    initial: Annotated[Many, typer.Option(help="NAME=VALUE UNIT: an initial value.")] = None,
    set_name: SetName = None,
    duration: Annotated[str, typer.Option(help="Simulated time.")] = "60 s",
    dt: Annotated[str, typer.Option(help="Time step.")] = "1 ms",
    record_every: Annotated[str | None, typer.Option(help="Recording interval, a multiple of dt.")] = None,
    method: Annotated[str | None, typer.Option(help="euler, rk2, rk4, exponential_euler; heun or milstein where the "
                                               "model has noise. Default: the model's own.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
    backend: Annotated[str, typer.Option(help="numpy, cython or cpp.")] = "numpy",
    check_dt: Annotated[bool, typer.Option("--check-dt", help="Run dt/2 as well and say how far apart.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, print what would run, write nothing.")] = False,
    stream: Annotated[bool, typer.Option("--stream", help="Write in pieces while it runs, as large recordings are "
                                         "anyway.")] = False,
    memory_limit: Annotated[str | None, typer.Option(help="What may be used, e.g. '8 GB', instead of what is "
                                                     "free.")] = None,
    disk_limit: Annotated[str | None, typer.Option(help="The same for the disk.")] = None,
    as_json: Json = False,
) -> None:
    """Simulate MODEL (or MODEL:SET) and write a recording. Ctrl-C keeps what was recorded until then."""
    from astro_sim import plan
    from astro_sim.run import estimate, report
    from astro_sim.run import half_step as check_step
    from astro_sim.run import simulation as simulate
    from astro_sim.run import streaming as stream_to_disk
    from astro_sim.show import describe

    chosen = plan.prepare(model, protocol, parameter_set=set_name, parameters=_pairs("set", sets),
                          options=_pairs("option", option), initial=_pairs("initial", initial), duration=duration,
                          dt=dt, record_every=record_every, method=method, seed=seed, backend=backend)
    needed = estimate.estimate(chosen, streamed=True if stream else None)
    limits = {"memory_limit": estimate.parse_size(memory_limit, "--memory-limit"),
              "disk_limit": estimate.parse_size(disk_limit, "--disk-limit")}
    if check_dt and needed.streamed:
        raise UserError("--check-dt: holds two whole recordings in memory; give --record-every, and no --stream")
    if check_dt:
        check_step.refuse_noise(chosen)
    if not dry_run:
        _check_out(out, force)
    estimate.refuse_if_too_large(chosen, needed, out.parent if out else None, **limits)
    if dry_run:
        return print_json(chosen.meta() | {"estimate": estimate.as_dict(needed)}) if as_json else print(
            describe.plan_text(chosen, needed))
    try:
        if needed.streamed:
            summary = stream_to_disk.run_to_file(chosen, out, progress=not as_json, **limits)
        else:
            recording = simulate.run(chosen, progress=not as_json, memory_limit=limits["memory_limit"])
            recording.save(out)
            summary = report.summary(recording, out)
    except simulate.Interrupted as stop:
        kept = stop.kept if needed.streamed else stop.kept.save(stream_to_disk.partial_path(out))
        print(f"stopped at {stop.reached:g} s of {chosen.duration:g} s: what was recorded until then is in {kept}",
              file=sys.stderr)
        raise typer.Exit(130) from stop
    if check_dt:
        summary["check_dt"] = check_step.check_step(chosen, recording, progress=not as_json)
    if as_json:
        return print_json(summary)
    print(describe.summary_text(summary))
    return print(check_step.text(summary["check_dt"], chosen.dt)) if check_dt else None


@app.command()
def analyse(
    file: Annotated[Path, typer.Argument(help="A recording (.nc).")],
    after: Annotated[str | None, typer.Option(help="Leave out what comes before. Default: the first half.")] = None,
    as_json: Json = False,
) -> None:
    """Ranges and oscillations of every variable; waves, equilibria, AM/FM encoding and events where they apply."""
    from astro_sim.analysis import summarise
    from astro_sim.parameter import read
    from astro_sim.recording.recording import PartialRecording, Recording

    start = None if after is None else read(after, "second", "after")
    with warnings.catch_warnings(action="ignore", category=PartialRecording):
        recording = Recording.load(file)
    if recording.partial:
        print(f"note: {recording.said_partial}", file=sys.stderr)
    summary = summarise.summarise(recording, start)
    return print_json(summary) if as_json else print(summarise.text(summary))


@app.command()
def plot(
    file: Annotated[Path, typer.Argument(help="A recording (.nc).")],
    out: Annotated[Path, typer.Option(help="The picture to write: .png, .svg or .pdf.")],
    variable: Annotated[Many, typer.Option(help="What to draw; all by default.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
) -> None:
    """A panel for each variable of a recording, axes with units."""
    from astro_sim.recording.recording import Recording
    from foundation.files import replacing

    if out.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"--out: {out} ends in none of .png, .svg, .pdf; choose one of them")
    _check_out(out, force)
    figure = Recording.load(file).plot(variable)
    with replacing(out) as temporary:
        figure.savefig(temporary, format=out.suffix[1:], dpi=160)
    print(out)


@app.command("scan")
def scan_model(
    model: str,
    over: Annotated[str, typer.Option(help="INPUT=LOW:HIGH:POINTS, in the input's unit or with one.")],
    out: Annotated[Path | None, typer.Option(help="The diagram to write (.json or .nc).")] = None,
    set_name: SetName = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    as_json: Json = False,
) -> None:
    """Bifurcation diagram over one input: all branches of equilibria, stability, Hopf points, folds, oscillations."""
    from dataclasses import asdict

    from astro_sim.dynamics import diagram as diagrams
    from astro_sim.dynamics import scanning as scan

    if out is not None:
        _check_out(out, force)
        diagrams.check_ending(out)
    name, low, high, points = scan.parse_over(over)
    diagram = scan.scan(model, name, low, high, points=points, parameter_set=set_name)
    if out is not None:
        diagram.save(out)
    return print_json(asdict(diagram)) if as_json else print(diagrams.text(diagram))


@app.command("sweep")
def sweep_model(
    model: str,
    out: Annotated[Path, typer.Option(help="The folder for the recordings; what is there is kept.")],
    vary: Annotated[list[str], typer.Option(help="NAME=VALUE UNIT,VALUE UNIT,...: all combinations. NAME is a "
                                            "parameter, initial.NAME, input.NAME or seed.")],
    protocol: Annotated[Many, typer.Option(help="As in run.")] = None,
    option: Annotated[Many, typer.Option(help="NAME=VALUE: a structural option.")] = None,
    set_name: SetName = None,
    duration: Annotated[str, typer.Option(help="Simulated time.")] = "60 s",
    dt: Annotated[str, typer.Option(help="Time step.")] = "1 ms",
    record_every: Annotated[str | None, typer.Option(help="Recording interval, a multiple of dt.")] = None,
    method: Annotated[str | None, typer.Option(help="As in run.")] = None,
    backend: Annotated[str, typer.Option(help="numpy, cython, or cpp: one program for the sweep.")] = "numpy",
    shard: Annotated[str, typer.Option(help="I/N: only the I-th of N parts.")] = "1/1",
    workers: Annotated[int | None, typer.Option(help="Processes; as many as cores by default.")] = None,
    as_json: Json = False,
) -> None:
    """Simulate every combination of parameter values, each into a file named by its hash."""
    from astro_sim.run.sweeps import grid, sweep

    varied = {name: [value.strip() for value in values.split(",")] for name, values in _pairs("vary", vary).items()}
    points = grid(varied, model=model, protocol=protocol, options=_pairs("option", option), parameter_set=set_name,
                  duration=duration, dt=dt, record_every=record_every, method=method, backend=backend)
    outcome = sweep(points, out, workers=workers, shard=shard, progress=not as_json)
    if as_json:
        print_json({"done": [str(path) for path in outcome.done], "kept": [str(path) for path in outcome.kept],
                    "failed": outcome.failed})
    else:
        print(f"{out}: {len(outcome.done)} done, {len(outcome.kept)} were there, {len(outcome.failed)} failed")
        print("".join(f"  {name[:12]}: {message}\n" for name, message in outcome.failed.items()), end="")


@app.command("benchmark")
def run_benchmark(
    sizes: Annotated[str, typer.Option(help="Numbers of astrocytes, with commas.")] = "100,1000,10000,100000,1000000",
    repetitions: Annotated[int, typer.Option(help="Turns of each comparison.")] = 5,
    backend: Annotated[str, typer.Option(help="numpy, cython, or both with a comma.")] = "numpy,cython",
    out: Annotated[Path | None, typer.Option(help="JSON to write as well.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    as_json: Json = False,
) -> None:
    """Cost of a step by network size, and simulate against bare Brian2 and LSODA; after a check of the results."""
    import json

    from astro_sim.benchmark import report as benchmark
    from foundation.files import write_text

    if out is not None:
        _check_out(out, force)
    try:
        numbers = [int(part) for part in sizes.split(",")]
    except ValueError as error:
        raise UserError(f"--sizes: '{sizes}' are no whole numbers; write e.g. --sizes 100,1000") from error
    found = benchmark.benchmark(numbers, repetitions=repetitions, backends=backend.split(","), progress=not as_json)
    if out is not None:
        write_text(out, json.dumps(found, indent=1, allow_nan=False) + "\n")
    return print_json(found) if as_json else print(benchmark.text(found))


def _pairs(option: str, given: Many) -> dict[str, str]:
    """["NAME=VALUE", ...] -> {NAME: VALUE}."""
    found: dict[str, str] = {}
    for text in given or []:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise UserError(f"--{option}: '{text}' is not NAME=VALUE; write e.g. --{option} \"NAME=0.5 umolar\"")
        if name in found:
            raise UserError(f"--{option}: {name} is given twice; give it once")
        found[name] = value
    return found


def _check_out(out: Path | None, force: bool) -> None:
    """Refuse before the run what could not be written after it."""
    import os

    if out is None:
        raise UserError("--out is missing; name the recording to write, e.g. --out calcium.nc, or use --dry-run")
    if out.is_dir():
        raise UserError(f"--out: {out} is a folder; name a file such as {out / 'recording.nc'}")
    if out.exists() and not force:
        raise UserError(f"--out: {out} is there already; choose another name, or give --force to replace it")
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"--out: {parent} cannot be written to; choose another place")


def main() -> None:
    """The console script astro-sim."""
    run(app)


if __name__ == "__main__":
    main()
