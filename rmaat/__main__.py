"""The program `python -m rmaat`: train, evaluate, predict, trace, inspect, list tasks and configs, benchmark."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from foundation.cli import print_json, program, run
from foundation.errors import DamagedFileError, UserError
from foundation.offers import offered
from rmaat.benchmark import verbs as benchmark_verbs
from rmaat.training import data_verbs
from rmaat.training.studies import verbs as study_verbs

app = program(
    "Train the network derived from neuron-astrocyte dynamics, and follow its numbers back to their sources.\n\n"
    "\b\nExamples:\n"
    "  python -m rmaat train recall --out runs/recall --control\n"
    "  python -m rmaat train fashion_small --out runs/fashion --set train.steps=500 --seed 1\n"
    "  python -m rmaat train fashion_small --out runs/fashion --resume\n"
    "  python -m rmaat study quick --out runs/quick --jobs 2\n"
    "  python -m rmaat compare runs/quick\n"
    "  python -m rmaat report runs/quick --out report.html\n"
    "  python -m rmaat evaluate runs/recall\n"
    "  python -m rmaat predict runs/mails --data new.csv --out answers.csv\n"
    "  python -m rmaat trace runs/recall --tensor retention\n"
    "  python -m rmaat inspect runs/recall\n"
    "  python -m rmaat benchmark all\n")
app.add_typer(data_verbs.app, name="data", help="What data there are, how to get them, what they look like.")
app.add_typer(benchmark_verbs.app, name="benchmark", help="Measure bytes and time, and say which targets are met.")
app.command()(study_verbs.study)
app.command()(study_verbs.compare)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Data = Annotated[Path | None, typer.Option("--data", metavar="PATH", help="The task's file, or folder of files.")]
RecordFile = Annotated[Path | None, typer.Option("--record", metavar="FILE", help="Default: the committed record.")]
Sample = Annotated[str | None, typer.Option("--record-sample", metavar="N", help=(
    "Draw N of the record's ensemble, or a published parameter set by name: see 'python -m derivation sample'."))]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=(
    "Change a field, e.g. model.width=64 or train.steps=100; may be repeated."))]
Seed = Annotated[int | None, typer.Option("--seed", help="Same as --set train.seed=N.")]
Variant = Annotated[str, typer.Option("--variant", metavar="NAME", help=(
    "The network to compare with: a name from 'variants', several as rmt+memory_8, or file.py:NAME."))]


def _experiment(config: str, settings: list[str] | None, seed: int | None, variant: str = "rmaat"):
    from rmaat.training.configs import find_experiment

    changes = [*(settings or []), *([] if seed is None else [f"train.seed={seed}"])]
    return find_experiment(config, changes, variant=variant)


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def report(context: typer.Context) -> None:
    """Write one offline HTML page of runs; 'report --help' says more."""
    offered("report")(context.args, "rmaat report")


@app.command()
def train(
    config: Annotated[str, typer.Argument(help="A name from 'configs', or file.py:NAME of your own.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder of the run; new or empty.")] = None,
    variant: Variant = "rmaat", data: Data = None, record: RecordFile = None, sample: Sample = None,
    settings: Settings = None, seed: Seed = None,
    seeds: Annotated[str | None, typer.Option("--seeds", metavar="N,N,...", help=(
        "Several trainings, in --out/seed0 and so on, and the interval over them."))] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, or begin it.")] = False,
    control: Annotated[bool, typer.Option("--control", help="Also train the same with the memory reset.")] = False,
    device: Device = "auto",
    log: Annotated[list[str] | None, typer.Option("--log", metavar="KIND", help=(
        "Also write the metrics as csv or tensorboard; may be repeated."))] = None,
    watch: Annotated[bool, typer.Option("--watch", help=(
        "Also write DIR.html, the run's report, again every few seconds; open it, it loads itself anew."))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run and write nothing.")] = False,
    json: Json = False,
) -> None:
    """Train a config; prints the test accuracy beside its control rows and leaves all in --out.

    \b
    python -m rmaat train recall --out runs/recall --control
    python -m rmaat train recall --out runs/recall_rmt --variant rmt
    python -m rmaat train listops --out runs/listops --data lra_release --set train.batch_size=16
    python -m rmaat train recall --out runs/draw7 --record-sample 7
    python -m rmaat train my.py:CONFIG --out runs/mine --set model.attention=my.py:Attention
    torchrun --nproc-per-node 2 -m rmaat train recall --out runs/recall
    """
    named = {text.partition("=")[0].strip() for text in settings or ()} & {"seed", "train.seed"}
    if seeds is not None and (seed is not None or named):
        raise UserError(f"--seeds {seeds}: it names the seeds; leave out --seed and --set train.seed")
    numbers = _seeds(seeds)
    experiment = _experiment(config, settings, seed, variant)
    source = _record(record, sample)
    _warn(experiment.model, source)
    if dry_run:
        if data is not None:
            from rmaat.training.settings import with_data

            experiment = with_data(experiment, data)
        _plan(experiment, source, device, json=json)
        return
    if out is None:
        raise UserError("no --out given; name the folder of the run, for example --out runs/" + config)
    from rmaat.resources import keep_freed_memory
    from rmaat.training.distributed import leave
    from rmaat.training.trainer import train as run_training

    keep_freed_memory()
    options = {"data": data, "record": None if record is None and sample is None else source, "resume": resume,
               "device": device, "control": control, "logs": log or ()}
    with _watched(out, watch):
        if numbers:
            _train_seeds(experiment, out, numbers, options, json=json)
        elif (result := run_training(experiment, out, **options)) is not None:  # under torchrun one speaks for all
            print_json(result.to_json()) if json else print(result)
    leave()


@contextmanager
def _watched(folder: Path, asked: bool) -> Iterator[None]:
    """While it trains, another process keeps a page of `folder`, where that was asked for."""
    if not asked or os.environ.get("RANK", "0") != "0":
        yield
        return
    with offered("watch")(folder) as page:
        print(f"report: {page}, written again every few seconds", file=sys.stderr, flush=True)
        yield


def _seeds(text: str | None) -> list[int]:
    """The seeds that a text names; none where it is left out."""
    if text is None:
        return []
    from rmaat.training.studies.seeds import seeds_of

    return seeds_of(text)


def _train_seeds(experiment, out: Path, seeds: list[int], options: dict, *, json: bool) -> None:
    """Every seed in its folder, then what they say together."""
    from rmaat.training.studies.compare import compare
    from rmaat.training.studies.seeds import train_seeds

    results = train_seeds(experiment, out, seeds, **options)
    if results[0] is None:  # under torchrun one process speaks for all
        return
    if json:
        print_json([result.to_json() for result in results])
        return
    print(compare([result.run.folder for result in results]).tables()[0].text())


def _record(file: Path | None, sample: str | None):
    """A file's record (the committed one by default), or a sample of the ensemble beside it."""
    from derivation.record import ensemble
    from derivation.record import record as records

    source = records.load(file)
    return source if sample is None else ensemble.load(ensemble.path_beside(file)).sample(source, sample)


def _warn(model, record) -> None:
    """On stderr: where the network would use the record outside its ranges of validity."""
    from rmaat.trace.report import warnings

    if model.network != "rmaat":  # it takes nothing from the record
        return
    for warning in warnings(model, record) if os.environ.get("RANK", "0") == "0" else ():
        print(f"warning: {warning}", file=sys.stderr)


def _plan(experiment, source, device: str, *, json: bool) -> None:
    """What would be trained, checked as far as that goes without data."""
    from rmaat.biology.biology import Biology
    from rmaat.model.network import build
    from rmaat.training.evaluation import find_device
    from rmaat.training.experiment import to_json

    model = build(experiment.model, Biology.of(source))
    plan = to_json(experiment) | {"parameters": sum(p.numel() for p in model.parameters()), "record": source.hash,
                                  "changed": source.versions.get("changed", ""), "device": find_device(device).type}
    if json:
        print_json(plan)
        return
    for name, value in plan.items():
        print(f"{name}: " + (", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict)
                             else str(value)))


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    data: Data = None, device: Device = "auto",
    controls: Annotated[bool, typer.Option(help="Also the trained control, and the rows without a network.")] = True,
    json: Json = False,
) -> None:
    """Evaluate a run's checkpoint on a split of its task; verifies every file that it reads.

    \b
    python -m rmaat evaluate runs/recall --split validation --json
    """
    from rmaat.training import evaluation

    result = evaluation.evaluate(folder, split, data=data, device=device, controls=controls)
    print_json(result.to_json()) if json else print(result)


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    data: Annotated[Path | None, typer.Option("--data", metavar="PATH", help=(
        "New samples of task files, with or without labels; with --split the data of the run."))] = None,
    split: Annotated[str | None, typer.Option("--split", help=(
        "The run's own samples: train, validation or test.  [default: test, without --data]"))] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help=(
        "All answers with their probabilities, as .csv or .jsonl."))] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=(
        "Name other columns of new data: task.text=COLUMN, task.second=COLUMN."))] = None,
    device: Device = "auto", json: Json = False,
) -> None:
    """Say what a run's network answers: a label and probabilities for each sample, also of new data.

    \b
    python -m rmaat predict runs/mails --data new.csv --out answers.csv
    python -m rmaat predict runs/fashion --split test --out answers.jsonl
    """
    from foundation.files import check_writable
    from rmaat.training import prediction

    if out is not None:
        prediction.check_ending(out)
        check_writable(out)
    found = prediction.predict(folder, data, split=split, settings=settings or (), device=device)
    if out is not None:
        found.write(out)
    if json:
        print_json(found.to_json())
        return
    print(found)
    if out is not None:
        print(f"all of them in {out}")


@app.command()
def trace(
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="The folder of a run.")] = None,
    config: Annotated[str | None, typer.Option("--config", help=(
        "Without DIR: the config to build.  [default: recall]"))] = None,
    variant: Variant = "rmaat", record: RecordFile = None, sample: Sample = None, settings: Settings = None,
    tensor: Annotated[str | None, typer.Option("--tensor", metavar="NAME", help="One tensor, e.g. retention.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Print the matrix parameter x entry x tensor; exit code 3 "
                                                        "where the trace is not sound.")] = False,
    json: Json = False,
) -> None:
    """Follow every number of a network that is not learned back to equation, parameter and source.

    \b
    python -m rmaat trace runs/recall
    python -m rmaat trace --config fashion_small --tensor retention
    python -m rmaat trace --check
    """
    from rmaat.trace import report as tracing
    from rmaat.training import run_folder

    if folder is None:
        model, source = _experiment(config or "recall", settings, None, variant).model, _record(record, sample)
    elif config or record or sample or settings or variant != "rmaat":
        raise UserError("a run brings its own record and config; leave out --config, --record, --record-sample, "
                        "--variant and --set, or leave out DIR")
    else:
        run = run_folder.read(folder)
        model, source = run.experiment.model, run.record
    if check and tensor:
        raise UserError(f"--tensor {tensor}: --check looks at all tensors; leave one of them out")
    if check:
        _check_trace(model, source, json)
        return
    report = tracing.trace(model, source, tensor)
    print_json(report.to_json()) if json else print(report)


def _check_trace(model, record, json: bool) -> None:
    """Print the matrix; raise where something is wrong."""
    import dataclasses

    from rmaat.trace.matrix import matrix
    from rmaat.trace.soundness import complaints

    effects = matrix(model, record)
    wrong = complaints(model, record, effects)
    if json:
        body = dataclasses.asdict(effects) | {"unread": sorted(effects.unread)}
        print_json({"record": record.hash, "wrong": wrong, "matrix": body})
    else:
        print(f"record {record.hash[:12]}\n\n{effects}\n")
    if wrong:
        raise DamagedFileError("the trace is not sound:\n  " + "\n  ".join(wrong))
    if not json:
        print(f"{len(effects.parameters)} parameters; no number of this network is without origin, every chain moves\n"
              "what it leads to, constants and derivatives are those of their formulas")


@app.command()
def inspect(
    folder: Annotated[Path | None, typer.Argument(metavar="RUN", help="The folder of a run.")] = None,
    config: Annotated[str | None, typer.Option("--config", help=(
        "Without RUN: the config to build, untrained.  [default: recall]"))] = None,
    variant: Variant = "rmaat", record: RecordFile = None, settings: Settings = None, seed: Seed = None,
    data: Data = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Of the validation split.")] = 32,
    json: Json = False,
) -> None:
    """Does the gradient reach the first segment? Retention, identity path and gradient norm, segment by segment.

    \b
    python -m rmaat inspect runs/recall
    python -m rmaat inspect --config recall --set retention=multiply --json
    """
    from derivation.record import record as records
    from rmaat.trace import inspection
    from rmaat.training import run_folder

    if folder is None:
        report = inspection.of_experiment(_experiment(config or "recall", settings, seed, variant),
                                          records.load(record), data=data, samples=samples)
    elif config or record or settings or seed is not None or variant != "rmaat":
        raise UserError("a run brings its own record and config; leave out --config, --record, --variant, --set and "
                        "--seed, or leave out RUN")
    else:
        report = inspection.of_run(run_folder.read(folder), data=data, samples=samples)
    print_json(report.to_json()) if json else print(report)


@app.command()
def tasks(name: Annotated[str | None, typer.Argument(metavar="NAME", help="One alone, or file.py:NAME.")] = None,
          json: Json = False) -> None:
    """List the tasks: classes, vocabulary, lengths, source, licence, dials."""
    from rmaat.tasks.describe import describe, text
    from rmaat.tasks.registry import TASKS
    from rmaat.training.settings import find_task

    found = {each: describe(find_task(each)) for each in ([name] if name else TASKS)}
    print_json(found) if json else print("\n\n".join(text(each, about) for each, about in found.items()))


@app.command()
def configs(json: Json = False) -> None:
    """List the configs; 'train CONFIG --dry-run' shows every field of one."""
    from rmaat.training.configs import CONFIGS
    from rmaat.training.experiment import to_json

    if json:
        print_json({name: to_json(make()) for name, make in CONFIGS.items()})
        return
    for name, make in CONFIGS.items():
        print(f"{name:19}  {' '.join(make.__doc__.split())}")


@app.command()
def variants(json: Json = False) -> None:
    """List the variants, networks to compare with; all go with all configs: 'train CONFIG --variant NAME'."""
    from rmaat.training.variants import VARIANTS

    about = {name: " ".join(change.__doc__.split()) for name, change in VARIANTS.items()}
    if json:
        print_json(about)
        return
    for name, said in about.items():
        print(f"{name:19}  {said}")


def main() -> None:
    """The console script rmaat."""
    run(app)


if __name__ == "__main__":
    main()
