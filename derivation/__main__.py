"""`python -m derivation`: regenerate the parameters that the network takes from biology."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from derivation.record import record
from foundation import cli
from foundation.errors import DamagedFileError, UserError
from foundation.files import check_writable

app = cli.program("""Derive the record: closed forms and fits of what the network takes from biology.

\b
  python -m derivation derive                     simulate, fit, write derivation/records/rmaat.json
  python -m derivation derive --out mine.json     write elsewhere
  python -m derivation derive --no-cache          from nothing: every simulation is run
  python -m derivation derive --entry my.py:NAME --out mine.json     with an entry of your own
  python -m derivation check                      derive anew and compare with the committed record
  python -m derivation show                       a table of all entries
  python -m derivation show retention             one entry: its form, numbers, sources, rivals
  python -m derivation whatif --set "tau_pl=300 second" --set "O_2=0.25 1/umolar/second"
  python -m derivation reduce                     constants of the macro model: value, error, range, what is assumed
  python -m derivation sample --draws 50          records that the biology's uncertainty allows
  python -m derivation report --out record.html   one page of it, with its fits as pictures
  python -m derivation perturb                    every parameter 10 % up and down, beside its derivative
""")

RecordFile = Annotated[Path | None, typer.Option("--record", help="a record file; the committed one by default")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


Cache = Annotated[Path | None, typer.Option("--cache", metavar="DIR", help="where simulations are kept; in the user's "
                                            "cache folder by default")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="run every simulation anew, keep none")]


def _derive(cache: Path | None, no_cache: bool, own: list[str] | None = None):
    import sys

    from derivation.entries.registry import ENTRIES
    from derivation.regenerate import derive
    from foundation.files import cache_folder

    if cache and no_cache:
        raise UserError(f"--cache {cache} and --no-cache contradict each other; give one")
    entries = {**ENTRIES, **{text.rpartition(":")[2]: _own_entry(text) for text in own or ()}}
    keep = None if no_cache else cache or cache_folder()
    try:
        return derive(entries, keep=keep, report=lambda text: print(f"  {text} ...", file=sys.stderr, flush=True))
    except KeyboardInterrupt:
        if keep:
            print(f"stopped; simulations that were done are kept in {keep}: the same line goes on", file=sys.stderr)
        raise


def _own_entry(text: str) -> Callable:
    from foundation.outside import find, is_outside

    if not is_outside(text):
        raise UserError(f"--entry {text}: write file.py:NAME or package.module:NAME")
    maker = find("entry", text, {})
    if not callable(maker):
        raise UserError(f"--entry {text}: a {type(maker).__name__} makes no entry; name a function of a workbench")
    return maker


@app.command("derive")
def derive_verb(
    out: Annotated[Path, typer.Option("--out", help="where to write the record")] = record.DEFAULT_PATH,
    own: Annotated[list[str] | None, typer.Option("--entry", metavar="FILE.PY:NAME", help=(
        "an entry of your own, added under NAME or in its place; may be repeated"))] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="derive and print, write nothing")] = False,
    cache: Cache = None,
    no_cache: NoCache = False,
    as_json: AsJson = False,
):
    """Derive the record and write it, and the points that it follows beside it; kept simulations are not run again."""
    from derivation.record import points

    if not dry_run:
        check_writable(out)
        check_writable(points.path_beside(out))
    if own and not dry_run and out.resolve() == record.DEFAULT_PATH.resolve():
        raise UserError("--entry: the committed record has only this project's entries; write elsewhere with --out, "
                        "or look first with --dry-run")
    derived = _derive(cache, no_cache, own)
    made = derived.record
    if not dry_run:
        record.save(made, out)
        points.save(derived.behind(), points.path_beside(out))
    _print(made, list(made.entries), as_json)
    if not as_json:
        print("nothing written (--dry-run)" if dry_run else f"written to {out}")


@app.command()
def check(file: RecordFile = None, cache: Cache = None, no_cache: NoCache = False, as_json: AsJson = False):
    """Derive anew and compare with the committed record; exit code 3 when they differ."""
    from derivation.proof.reproduction import differences, differences_behind
    from derivation.record import points

    committed, anew = record.load(file), _derive(cache, no_cache)
    derived, found = anew.record, differences(committed, anew.record)
    if points.path_beside(file).exists():
        found += differences_behind(points.load(points.path_beside(file)), anew.behind())
    if as_json:
        cli.print_json({"record": committed.hash, "derived": derived.hash, "differences": found})
    if found:
        raise DamagedFileError(f"the record {file or record.DEFAULT_PATH} does not follow from this code "
                               "(path: record, derived anew):\n  " + "\n  ".join(found)
                               + "\nrun 'python -m derivation derive' and look at what changed")
    if not as_json:
        print(f"the record {committed.hash[:12]} follows from this code")


@app.command()
def show(names: Annotated[list[str] | None, typer.Argument(metavar="ENTRY", help=(
             "entries, told in full; a table of all by default"))] = None,
         file: RecordFile = None, as_json: AsJson = False):
    """Print the record as a table, or entries in full: formula, values with intervals, parameters with sources.

    In an entry `<-` stands before what its constants are computed from, indented where that acts through another
    parameter, and `..` before what cancels.
    """
    loaded = record.load(file)
    for name in names or ():
        loaded.entry(name)
    if names or as_json:
        _print(loaded, names or list(loaded.entries), as_json)
    else:
        one = next(iter(loaded.entries), "ENTRY")
        print(f"{loaded.table()}\n\nin full, with sources: python -m derivation show {one}")


@app.command("reduce")
def reduce_verb(names: Annotated[list[str] | None, typer.Argument(help="constants; all by default")] = None,
                as_json: AsJson = False):
    """Reduce the macro model's constants from biophysical models, and hold each against the full model."""
    from derivation.reductions.registry import rows, text

    found = rows(names)
    cli.print_json({"constants": found}) if as_json else print("\n".join(text(found)))


@app.command("whatif")
def whatif_verb(
    settings: Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE UNIT", help="may be repeated")],
    file: RecordFile = None,
    out: Annotated[Path | None, typer.Option("--out", help="also write the changed record, for rmaat train")] = None,
    as_json: AsJson = False,
):
    """Old and new value of every entry under other parameters, and what that means for the network."""
    from derivation.proof.what_if import whatif

    if out:
        check_writable(out)
    compared = whatif(*settings, record=file)
    if out:
        record.save(compared.after, out)
    if as_json:
        cli.print_json(compared.as_json())
        return
    print(compared)
    if out:
        print(f"written to {out}")


@app.command()
def sample(
    file: RecordFile = None,
    draws: Annotated[int, typer.Option("--draws", min=0, max=1000, help="records drawn at random")] = 50,
    seed: Annotated[int, typer.Option("--seed", min=0, help="draw n depends on the seed and n alone")] = 0,
    assumed_spread: Annotated[float | None, typer.Option("--assumed-spread", min=0.0, max=1.0, help=(
        "standard deviation of the logarithm of every assumed parameter"))] = None,
    out: Annotated[Path | None, typer.Option("--out", help="beside the record by default")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="draw and print, write nothing")] = False,
    as_json: AsJson = False,
):
    """Draw records from the biology's uncertainty, for 'rmaat train --record-sample N': an ensemble beside the record.

    Intervals of fits, published parameter sets, and what is assumed within --assumed-spread.
    """
    from derivation.proof import uncertainty
    from derivation.record import ensemble

    path = out or ensemble.path_beside(file)
    if not dry_run:
        check_writable(path)
    loaded, spread = record.load(file), uncertainty.ASSUMED_SPREAD if assumed_spread is None else assumed_spread
    with cli.Progress("draw", draws) as progress:
        drawn = uncertainty.draw_records(loaded, draws=draws, seed=seed, assumed_spread=spread, report=progress.update)
    if not dry_run:
        ensemble.save(drawn, path)
    if as_json:
        cli.print_json({"record": loaded.hash, "ensemble": drawn.hash, "rejected": dict(drawn.rejected),
                        "record_values": uncertainty.values(loaded),
                        "published": {name: uncertainty.values(drawn.sample(loaded, name))
                                      for name in drawn.published},
                        "draws": [uncertainty.values(drawn.sample(loaded, str(n))) for n in range(draws)]})
        return
    print(uncertainty.table(loaded, drawn))
    print("nothing written (--dry-run)" if dry_run else f"{draws} draws and {len(drawn.published)} published sets "
                                                        f"written to {path}")


@app.command()
def perturb(file: RecordFile = None, as_json: AsJson = False):
    """Prove the stored derivatives: every parameter 10 % up and down, every constant computed anew; 20 seconds.

    Exit code 3 when a constant moves by other than its derivative says, second order aside.
    """
    from derivation.proof import perturbation as proof
    from derivation.proof.recomputation import parameters

    loaded = record.load(file)
    moves = [move for name in parameters(loaded) for move in proof.moves(loaded, name)]
    wrong = [f"{move.parameter} on {move.entry}.{move.constant}" for move in moves if not move.agrees]
    if as_json:
        cli.print_json({"record": loaded.hash, "wrong": wrong, "moves": [vars(move) for move in moves if move.moved]})
    else:
        print(proof.table(moves))
    if wrong:
        raise DamagedFileError(f"the record's derivatives are not those of this code: {'; '.join(wrong)}; "
                               "run 'python -m derivation derive' and look at what changed")
    if not as_json:
        unmoved = sum(not move.moved for move in moves)
        print(f"{len(moves) - unmoved} pairs move by what the derivative says, {unmoved} do not move, as it says")


@app.command()
def report(out: Annotated[Path, typer.Option("--out", help="the page")] = Path("record.html"),
           file: RecordFile = None, as_json: AsJson = False):
    """Write one offline page of the record: its chain, its fits with bands and rivals, what was neglected."""
    from foundation.offers import offered

    check_writable(out)
    offered("record")(file, out)
    cli.print_json({"page": str(out), "bytes": out.stat().st_size}) if as_json else print(out)


def _print(loaded: record.Record, names: list[str], as_json: bool) -> None:
    if as_json:
        import json

        body = json.loads(record.dumps(loaded))
        cli.print_json({"hash": loaded.hash, "entries": {name: body["entries"][name] for name in names}})
        return
    from derivation.proof.text import describe

    print(f"record {loaded.hash[:12]}")
    for name in names:
        print("\n".join(["", *describe(name, loaded.entries[name])]))


def main() -> None:
    """The console script astro-derive."""
    cli.run(app)


if __name__ == "__main__":
    main()
