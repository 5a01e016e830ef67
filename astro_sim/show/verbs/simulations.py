"""The verb run: simulate once, or once for each of several seeds."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from astro_sim.show.verbs.options import (
    DEFAULT_DT,
    DEFAULT_DURATION,
    Atol,
    BackendName,
    Duration,
    Force,
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
    check_out,
    pairs,
)
from foundation.cli import print_json
from foundation.errors import UserError

if TYPE_CHECKING:
    from astro_sim.plan import Plan
    from astro_sim.recording.recording import Recording

Limit = Annotated[str | None, typer.Option(help="What may be used, e.g. '8 GB'; by default what is free.")]


def run_model(
    model: ModelName,
    out: Annotated[Path | None, typer.Option(help="The recording to write (NetCDF, .nc).")] = None,
    sets: Annotated[Many, typer.Option("--set", help="NAME=VALUE UNIT: change a parameter; "
                    "one value an element as A+B+... UNIT or file:PATH.")] = None,
    protocol: Protocols = None, option: Options = None,
    initial: Annotated[Many, typer.Option(help="NAME=VALUE UNIT: an initial value; one an element as "
                      "in --set.")] = None,
    set_name: SetName = None, duration: Duration = DEFAULT_DURATION, dt: Step = DEFAULT_DT,
    record_every: RecordEvery = None, method: Method = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
    seeds: Annotated[str | None, typer.Option(help="Several of them, as in 0-19 or 1+4+7-9: --out is then a folder, "
                                              "with mean and spread over them in ensemble.nc.")] = None,
    events: Annotated[Many, typer.Option(metavar="VARIABLE>LEVEL", help="With --seeds: statistics of events such as "
                                         "\"C>0.3 uM\" over them.")] = None,
    backend: BackendName = "auto", rtol: Rtol = None, atol: Atol = None,
    check_dt: Annotated[bool, typer.Option("--check-dt", help="Also run at half the step, and say how far the two are "
                                           "apart.")] = False,
    force: Force = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, print what would run, write "
                                          "nothing.")] = False,
    stream: Annotated[bool, typer.Option("--stream", help="Write in pieces while it runs, as large recordings are "
                                         "anyway.")] = False,
    memory_limit: Limit = None, disk_limit: Limit = None, as_json: Json = False,
) -> None:
    """Simulate MODEL (or MODEL:SET) and write a recording. Ctrl-C keeps what was recorded until then."""
    from astro_sim import plan
    from astro_sim.run import estimate, half_step
    from astro_sim.show import describe
    from astro_sim.show.verbs.seeds import run_seeds

    settings = {"parameter_set": set_name, "parameters": pairs("set", sets), "options": pairs("option", option),
                "initial": pairs("initial", initial), "duration": duration, "dt": dt, "record_every": record_every,
                "method": method, "backend": backend, "rtol": rtol, "atol": atol}
    if seeds is not None or events:
        for name, given in (("--seed", seed), ("--check-dt", check_dt), ("--stream", stream), ("--dry-run", dry_run),
                            ("--memory-limit", memory_limit), ("--disk-limit", disk_limit)):
            if given:
                raise UserError(f"{name}: does not go with --seeds; leave one of them out")
        return run_seeds(model, protocol, out, seeds=seeds, events=events, force=force, as_json=as_json, **settings)
    planned = plan.prepare(model, protocol, seed=seed, **settings)
    needed = estimate.estimate(planned, streamed=True if stream else None)
    limits = {"memory_limit": estimate.parse_size(memory_limit, "--memory-limit"),
              "disk_limit": estimate.parse_size(disk_limit, "--disk-limit")}
    if check_dt and needed.streamed:
        raise UserError("--check-dt: holds two whole recordings in memory; give --record-every, and no --stream")
    if check_dt:
        half_step.refuse_noise(planned)
    if not dry_run:
        check_out(out, force)
    estimate.refuse_if_too_large(planned, needed, out.parent if out else None, **limits)
    if not dry_run:
        return _run(planned, out, limits, streamed=needed.streamed, check_dt=check_dt, as_json=as_json)
    if as_json:
        return print_json(planned.meta() | {"estimate": estimate.as_dict(needed)})
    return print(describe.plan_text(planned, needed))


def _run(planned: "Plan", out: Path, limits: dict, *, streamed: bool, check_dt: bool, as_json: bool) -> None:
    """Run what was checked, and print what it gave."""
    from astro_sim.run import half_step
    from astro_sim.run.simulation import Interrupted
    from astro_sim.show import describe

    try:
        summary, recording = _recorded(planned, out, limits, streamed=streamed, progress=not as_json)
    except Interrupted as stop:
        from astro_sim.run.streaming import partial_path

        kept = stop.kept if streamed else stop.kept.save(partial_path(out))
        print(f"stopped at {stop.reached:g} s of {planned.duration:g} s: what was recorded until then is in {kept}",
              file=sys.stderr)
        raise typer.Exit(130) from stop
    if check_dt:
        summary["check_dt"] = half_step.check_step(planned, recording, progress=not as_json)
    if as_json:
        return print_json(summary)
    print(describe.summary_text(summary))
    print(describe.solver_text(planned))
    return print(half_step.text(summary["check_dt"], planned)) if check_dt else None


def _recorded(planned: "Plan", out: Path, limits: dict, *, streamed: bool, progress: bool
              ) -> tuple[dict, "Recording | None"]:
    """The summary of what was written to `out`, and the recording where it was held in memory."""
    from astro_sim.run import report, simulation, streaming

    if streamed:
        return streaming.run_to_file(planned, out, progress=progress, **limits), None
    recording = simulation.run(planned, progress=progress, memory_limit=limits["memory_limit"])
    recording.save(out)
    return report.summary(recording, out), recording
