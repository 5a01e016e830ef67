"""Did it work? Simulate, derive, train with controls, measure, trace, draw; one verdict. `make demo` runs this."""

import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foundation import cli
from foundation.workers import processes

if TYPE_CHECKING:
    from derivation.regenerate import Derivation
    from figures.outcome import Check

HELP = """Simulate, derive, train, measure, trace and draw, in at most three minutes on two idle cores.

The last screen begins with the verdict. Exit code 1 where a check fails.

\b
  python -m figures.demo                       into a new folder runs/demo-<time>
  python -m figures.demo --out my-demo
"""
app = cli.program(HELP, verbs=False)
SEGMENTS_MEASURED = (1, 8, 16)
MEASURED = ("bptt", "amrb")
LISTOPS = ("train.steps=6", "task.train=100", "task.validation=20", "task.test=20", "train.evaluate_samples=20")
FIGURES_DRAWN = ("cover", "retention", "kernel", "training")


@app.command(help=HELP)
def demo(
    out: Annotated[Path | None, typer.Option("--out", help="a new folder; runs/demo-<time> by default")] = None,
    version: cli.Version = False,
):
    from figures import outcome
    from foundation.errors import UserError
    from foundation.files import check_writable

    out = out or Path("runs") / time.strftime("demo-%Y%m%d-%H%M%S")
    if out.exists():
        raise UserError(f"--out: {out} already exists; name a new folder")
    check_writable(out, folder=True)
    started = time.monotonic()
    record_file = out / "record.json"
    derived = _derive(record_file, out)
    with processes(1) as beside:  # two cores: one trains, the other does the rest
        _say("train on recall over 8 segments, then the same with the memory reset; meanwhile:")
        recall = beside.submit(train_recall, record_file, out)
        checks, listops, traced = [*_simulated(derived), *_measured()], _listops(record_file, out), _traced(derived)
        chain = _chain(derived)
        figures = _draw(record_file, out, recall)
        checks += [*outcome.recall(recall.result()["rows"]), listops, traced]
    print("\n" + "\n".join(outcome.screen(checks, time.monotonic() - started)))
    origin = f"where the retention of the network comes from (all: python -m rmaat trace {out / 'recall'})"
    print("\n" + "\n".join([*outcome.closing([origin]), *chain]))
    print("\n" + "\n".join(outcome.closing([f"written to {out}:", "record.json, calcium.nc, cycles.nc, the runs recall "
                                           f"and listops; in figures {', '.join(figures)}"])))
    if not all(check.ok for check in checks):
        raise SystemExit(1)


def _say(text: str) -> None:
    print(f"== {text}", flush=True)


def _derive(record_file: Path, out: Path) -> "Derivation":
    from derivation.record import record
    from derivation.regenerate import derive

    _say("simulate and derive")
    derived = derive(report=lambda text: print(f"  {text}", flush=True))
    record.save(derived.record, record_file)
    for name in ("calcium", "cycles"):
        derived.recordings[name].save(out / f"{name}.nc")
    return derived


def train_recall(record_file: Path, out: Path) -> dict:
    """The result of `recall` and of its control, trained in a process of its own on one thread."""
    import torch

    from rmaat.training.trainer import train

    torch.set_num_threads(1)
    return train("recall", out / "recall", record=record_file, control=True, quiet=True).to_json()


def _simulated(derived: "Derivation") -> list["Check"]:
    from astro_sim import analysis
    from derivation.proof.reproduction import differences
    from derivation.record import record
    from figures import outcome

    committed, calcium = record.load(), derived.recordings["calcium"]
    cycle = next(use.value for use in committed.entry("retention").parameters if use.name == "tau_cycle")
    period = analysis.period(calcium, "C", after=30.0)
    return [outcome.oscillation(*analysis.amplitude(calcium, "C", after=30.0), period, committed=cycle),
            *outcome.record(derived.record, committed, differences(committed, derived.record))]


def _measured() -> list["Check"]:
    import torch

    from figures import outcome
    from foundation.errors import ResourceError
    from rmaat.benchmark.measure import SHAPE, Bench, peaks
    from rmaat.benchmark.targets import ALGORITHMS, check_gradients

    torch.set_num_threads(1)
    _say("compare gradients, measure peak bytes")
    try:
        check_gradients(SHAPE)
        equal = True
    except ResourceError:
        equal = False
    found = peaks(Bench(batch=2), SEGMENTS_MEASURED, {name: ALGORITHMS[name] for name in MEASURED})
    return [outcome.gradients(equal), *outcome.memory(found)]


def _listops(record_file: Path, out: Path) -> "Check":
    from figures import outcome
    from rmaat.training.trainer import train

    _say("train a few steps of ListOps")
    result = train("listops_small", out / "listops", changes=LISTOPS, record=record_file, quiet=True)
    losses = [line["loss"] for line in result.metrics if "loss" in line]
    return outcome.listops(result.evaluation.steps, losses[-1])


def _traced(derived: "Derivation") -> "Check":
    from figures import outcome
    from rmaat.biology.provenance import numbers_of, orphans
    from rmaat.trace.report import build
    from rmaat.training.configs import CONFIGS

    model = build(CONFIGS["recall"]().model, derived.record)
    return outcome.origins(sum(1 for _ in numbers_of(model)), orphans(model))


def _chain(derived: "Derivation") -> list[str]:
    from figures import outcome
    from rmaat.trace.report import trace
    from rmaat.trace.text import chains
    from rmaat.training.configs import CONFIGS

    report = trace(CONFIGS["recall"]().model, derived.record, "retention")
    return outcome.chain(chains(report).splitlines())


def _draw(record_file: Path, out: Path, recall: Future) -> list[str]:
    """Names of the pictures; the one of the training waits for it."""
    from figures.__main__ import draw

    _say("draw")
    for name in FIGURES_DRAWN:
        if name == "training":
            recall.result()
        draw([name], out / "figures", record_file=record_file, run=out / "recall")
    return [f"{name}.png" for name in FIGURES_DRAWN]


if __name__ == "__main__":
    cli.run(app)
