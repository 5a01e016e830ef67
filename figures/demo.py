"""The main job from end to end: simulate, derive, train with a control, measure, trace, draw. `make demo` runs this."""

import time
from pathlib import Path
from typing import Annotated

import typer

from foundation import cli

HELP = """Simulate, derive, train, trace and draw, in a few minutes on two cores.

\b
  python -m figures.demo                       into a new folder runs/demo-<time>
  python -m figures.demo --out my-demo
"""
app = cli.program(HELP)
SEGMENTS_MEASURED = (1, 8, 32)


@app.command(help=HELP)
def demo(out: Annotated[Path | None, typer.Option("--out", help="a new folder; runs/demo-<time> by default")] = None):
    from foundation.errors import UserError

    out = out or Path("runs") / time.strftime("demo-%Y%m%d-%H%M%S")
    if out.exists():
        raise UserError(f"--out: {out} exists already; name a new folder")
    started = time.monotonic()
    record_file = out / "record.json"
    derived = _derive(record_file, out)
    recall, listops = _train(record_file, out)
    measured = _measure()
    figures = _draw(record_file, out)
    print("\n".join(screen(derived, recall, listops, measured)))
    print(f"\nin {time.monotonic() - started:.0f} s. Run folders, recordings and figures:")
    for path in (record_file, out / "calcium.nc", out / "cycles.nc", out / "recall", out / "listops", *figures):
        print(f"  {path}")


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _derive(record_file: Path, out: Path):
    from derivation.record import record
    from derivation.regenerate import derive

    _say("simulate and derive")
    derived = derive(lambda text: print(f"  {text}", flush=True))
    record.save(derived.record, record_file)
    for name in ("calcium", "cycles"):
        derived.recordings[name].save(out / f"{name}.nc")
    return derived


def _train(record_file: Path, out: Path) -> tuple[dict, dict]:
    from rmaat.training.configs import CONFIGS
    from rmaat.training.trainer import train

    _say("train on recall over 8 segments, then the same with the memory reset")
    recall = train(CONFIGS["recall"](), out / "recall", record=record_file, control=True)
    _say("train a few steps of ListOps")
    return recall, train(CONFIGS["listops_small"](), out / "listops", record=record_file)


def _measure():
    from rmaat.benchmark.measure import Bench, peaks
    from rmaat.benchmark.targets import ALGORITHMS

    _say("measure peak bytes")
    return peaks(Bench(batch=2), SEGMENTS_MEASURED, ALGORITHMS)


def _draw(record_file: Path, out: Path) -> list[Path]:
    from figures.__main__ import FIGURES, draw

    _say("draw")
    paths = draw(list(FIGURES), out / "figures", record_file, out / "recall")
    return [path for path in paths if path.suffix == ".png"]


def screen(derived, recall: dict, listops: dict, measured) -> list[str]:
    """What came out, on one screen."""
    from astro_sim import analysis
    from rmaat.trace.report import trace
    from rmaat.trace.text import text
    from rmaat.training.configs import CONFIGS

    calcium = derived.recordings["calcium"]
    low, high = analysis.amplitude(calcium, "C", after=30.0)
    period = analysis.period(calcium, "C", after=30.0)
    lines = ["", "== what came out", "", "derived from the simulations",
             f"  calcium oscillates from {low:.4f} to {high:.4f} uM every {period:.3f} s"]
    for name, entry in derived.record.entries.items():
        for key, constant in entry.constants.items():
            fit = "stated in the paper" if entry.basis == "stated" else f"{entry.basis} from its parameters"
            if constant.fitted is not None and constant.interval:
                half = (constant.interval[1] - constant.interval[0]) / 2
                fit = f"recording gives {constant.fitted:.6f} +- {half:.1g} (95 %)"
            lines.append(f"  {name + '.' + key:40} {constant.value:.6f}   {fit}")
    lines += ["", "accuracy on the test split"]
    for title, result in (("recall, 8 segments", recall), (f"listops, {listops['steps']} steps only", listops)):
        lines += [f"  {title}"] + [f"    {row['name']:26} {100 * row['accuracy']:6.2f} %" for row in result["rows"]]
    names = next(iter(measured.values()))
    lines += ["", "peak bytes of a training step, above parameters and data",
              "  segments " + "".join(f"{name:>17}" for name in names) + "   bptt / amrb"]
    lines += [f"  {t:8} " + "".join(f"{peak:17,}" for peak in row.values()) + f"   {row['bptt'] / row['amrb']:.2f}"
              for t, row in measured.items()]
    report = trace(CONFIGS["recall"]().model, derived.record, "retention")
    return [*lines, "", "trace of the retention tensor", *("  " + line for line in text(report).splitlines()[2:])]


if __name__ == "__main__":
    cli.run(app)
