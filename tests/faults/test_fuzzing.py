"""Content that nobody wrote on purpose, for every reader: mutated files with right hashes, texts, tables, configs.

Whatever is read, the error is the project's own, nothing hangs, nothing fills the memory. What once failed is kept as a
test elsewhere, or in CORPUS.
"""

import copy
import json
import random
import warnings

import numpy as np
import pytest

from foundation.errors import UserError

SECONDS = 5  # of CPU time for one reading
STRANGE = [None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, -1e308, 5e-324, .5, "", "x", "x" * 5000, "\0",
           "\ud800", "nan", "1e999", "second", "9**9**9", "(" * 300, "dx/dt = x : 1", "$x$ \\frac", "../../etc", [], {},
           [[]], [1, 2], ["a"], {"a": 1}, {"kind": "x"}, [None], [1e400], "{}", "%s", "numpy", "rk4", "constant"]
CORPUS = {  # (path into the meta, value), by what it once raised
    "a bound that is no parameter": (("declared", "observables", "C", "low"), "nothing"),
    "a size that is no number": (("declared", "populations", "astrocyte"), "x"),
    "a unit that is none": (("declared", "initial_units", "C"), "x" * 5000),
    "an option that is none": (("options",), {"n": "x"}),
    "a drive of no kind": (("protocol",), [{"kind": "x", "input": "ip3"}]),
    "a negative duration": (("solver", "duration_s"), -1.0),
    "a step of zero": (("solver", "dt_s"), 0.0),
    "a huge whole number": (("solver", "record_every"), 10**400),
}


def mutated(value, draw, most=3):
    """A copy of JSON with some of its parts replaced, removed, doubled or exchanged."""
    value = copy.deepcopy(value)
    for _ in range(draw.randint(1, most)):
        places = list(walk(value))
        if not places:
            return draw.choice(STRANGE)
        holder, key = draw.choice(places)
        what = draw.random()
        if what < .6:
            holder[key] = draw.choice(STRANGE)
        elif what < .75:
            del holder[key]
        elif what < .9:
            other, name = draw.choice(places)
            try:
                holder[key] = copy.deepcopy(other[name])
            except (KeyError, IndexError):
                continue
        elif isinstance(holder, dict):
            holder[draw.choice(["x", "", "y" * 300, "é"])] = draw.choice(STRANGE)
        else:
            holder.insert(0, draw.choice(STRANGE))
    return value


def walk(value):
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from walk(value[key])


BYTES = [b"", b"\0", b"\xff" * 8, b"[" * 100_000, b'"', b"{", b"9" * 400, b"null", b"\n", b"1e999", b"NaN", b"\t",
         b"]", bytes(8)]


def understood(within, work, what):
    """Run a reader; only the project's own errors may come out, in bounded time."""
    try:
        with within(SECONDS), warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            work()
    except UserError as error:
        assert len(str(error)) < 20_000, what
        return False
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {str(error)[:300]}\nfrom {str(what)[:2000]}") from error
    return True


@pytest.fixture(scope="module")
def recording():
    from astro_sim import simulate

    return simulate("li_rinzel", "constant:input=ip3,value=0.5 umolar", duration="1 s", dt="10 ms", backend="numpy",
                    method="rk4")


def everything_of(path):
    """All that is done with a recording: loading, its plan, its summary, its words, its tables."""
    from astro_sim.analysis.summary import summarise, text
    from astro_sim.plan import plan_of
    from astro_sim.recording.recording import Recording

    found = Recording.load(path)
    str(found), found.to_pandas()
    text(summarise(found))
    plan_of(found.meta)


def test_what_once_failed(within, tmp_path, recording):
    from astro_sim.recording.recording import Recording

    for name, (path, value) in CORPUS.items():
        meta = json.loads(json.dumps(recording.meta))
        holder = meta
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value
        Recording(recording.time, recording.variables, meta).save(tmp_path / "a.nc")
        understood(within, lambda: everything_of(tmp_path / "a.nc"), name)


@pytest.mark.minutes
@pytest.mark.fault("F1")
def test_recordings_with_another_meta_and_the_right_hashes(within, rounds, tmp_path, recording):
    """Files that are whole and say what nobody foresaw: recordings, records, runs, tables, texts, mutated at random.

    Only the project's own errors, no hang above 5 s, no memory above the cap; what once failed stays as a test.
    """
    from astro_sim.recording.recording import Recording

    meta = json.loads(json.dumps(recording.meta))
    for n in rounds(12):
        bent = mutated(meta, random.Random(n))
        if not isinstance(bent, dict):
            continue
        try:
            Recording(recording.time, recording.variables, bent).save(tmp_path / "a.nc")
        except Exception:
            continue  # such a file cannot be made
        understood(within, lambda: everything_of(tmp_path / "a.nc"), bent)


@pytest.mark.minutes
def test_records_with_the_right_hash(within, rounds, tmp_path):
    import hashlib

    from derivation.record import bounds, record
    from foundation.files import canonical_json

    body = json.loads(record.dumps(record.load()))
    body.pop("hash")
    for n in rounds(12):
        bent = mutated(body, random.Random(n))
        try:
            whole = {**bent, "hash": hashlib.sha256(canonical_json(bent).encode()).hexdigest()}
            (tmp_path / "r.json").write_text(json.dumps(whole), "utf-8")
        except (TypeError, ValueError):
            continue
        understood(within, lambda: bounds.check(record.load(tmp_path / "r.json")), bent.keys())


@pytest.mark.minutes
def test_configs_of_runs(within, rounds):
    from rmaat.training.configs import find_experiment
    from rmaat.training.experiment import to_json
    from rmaat.training.stored import from_json

    body = json.loads(json.dumps(to_json(find_experiment("recall", []))))
    for n in rounds(40):
        bent = mutated(body, random.Random(n))
        understood(within, lambda bent=bent: from_json(bent, "config.json"), bent)


@pytest.mark.minutes
def test_settings_of_a_command_line(within, rounds):
    from rmaat.training.configs import CONFIGS, find_experiment

    fields = ["task.train", "task.seed", "model.width", "model.heads", "model.layers", "model.dropout", "train.steps",
              "train.learning_rate", "model.attention", "model.retention", "task", "train.batch_size", "x", "",
              "model."]
    for n in rounds(40):
        draw = random.Random(n)
        settings = [f"{draw.choice(fields)}={draw.choice(STRANGE)}" for _ in range(draw.randint(1, 3))]
        understood(within, lambda settings=settings, name=draw.choice(sorted(CONFIGS)): find_experiment(name, settings),
                   settings)


@pytest.mark.minutes
def test_protocols(within, rounds):
    from astro_sim.protocols import PROTOCOLS, drive_from_dict, drives
    from astro_sim.protocols.kinds import EXAMPLES
    from foundation.reading import content_of

    pieces = ["input=ip3", "value=", "1uM", ",", "+", "=", ":", "times=", "0s", "1e9s", "elements=", "0-9", "count=1e9",
              "-1", "nan", "inf s", "t", "sin(", ")", "**", "9" * 300, "file=/dev/null", "\0", "é", "start=", "seed=-1"]
    for n in rounds(60):
        draw = random.Random(n)
        kind = draw.choice(sorted(PROTOCOLS))
        text = f"{kind}:{EXAMPLES[kind]}"
        for _ in range(draw.randint(1, 3)):
            at = draw.randint(0, len(text))
            text = text[:at] + draw.choice(pieces) + text[draw.randint(at, len(text)):]
        understood(within, lambda text=text: drives(text), text)
        known = drives(f"{kind}:{EXAMPLES[kind]}")[0] if kind not in ("pairing",) else None
        if known is not None:
            bent = mutated(json.loads(json.dumps(known.as_dict())), draw)

            def read(bent=bent):
                with content_of("a drive"):
                    drive_from_dict(bent)

            understood(within, read, bent)


@pytest.mark.minutes
def test_tables(within, rounds, tmp_path):
    import io

    from astro_sim.parameter import read_columns

    stream = io.BytesIO()
    np.save(stream, np.arange(24.).reshape(8, 3))
    whole = {".csv": b"time (s), ip3 (uM)\n0, 0.1\n10, 0.3\n20, 0.2\n", ".tsv": b"a\tb\n1\t2\n", ".txt": b"1\n2\n",
             ".npy": stream.getvalue()}
    for n in rounds(80):
        draw = random.Random(n)
        ending = draw.choice(sorted(whole))
        data = bytearray(whole[ending])
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(data) + 1)
            data[at:at + draw.randint(0, 3)] = draw.choice([b"", b"\0", b"\xff", b",", b'"', b"(", b"9" * 400, b"nan",
                                                            b"\n", b"{", b"'shape': (9999999999, 9)", b"O", bytes(20)])
        (tmp_path / f"a{ending}").write_bytes(data)
        understood(within, lambda ending=ending: read_columns(tmp_path / f"a{ending}", "x"), bytes(data))


@pytest.mark.minutes
def test_equations_of_models(within, rounds):
    from dataclasses import replace

    from astro_sim import MODELS
    from astro_sim.model.flow import flow_of

    known = MODELS["li_rinzel"]
    cell = known.populations[0]
    pieces = ["", "C", "h", "dC/dt", "=", ":", "1", "(", ")", "**", "*", "+", "9" * 400, "exp(", "clip(C, 0, 1)", "xi",
              "x" * 200, "umolar", "\n", "#", "().__class__", "9**9**9", "(unless refractory)", "rand()", "1e999"]
    for n in rounds(40):
        draw = random.Random(n)
        text = cell.equations
        for _ in range(draw.randint(1, 3)):
            at = draw.randint(0, len(text))
            text = text[:at] + draw.choice(pieces) + text[min(len(text), at + draw.randint(0, 12)):]

        def build(text=text):
            made = replace(known, name="bent", populations=(replace(cell, equations=text),))
            flow_of(made, made.read_options({}))

        understood(within, build, text)


@pytest.mark.minutes
def test_files_of_bytes_that_nobody_wrote(within, rounds, tmp_path):
    """Every other reader, with mutated files of its own kind."""
    import gzip

    import torch

    from astro_sim.dynamics.diagram import Diagram
    from foundation import chain, files
    from rmaat.tasks import fashion, listops
    from rmaat.training import checkpoint, run_folder

    run = tmp_path / "run"
    run.mkdir()
    checkpoint.save(run, checkpoint.Checkpoint(7, {"model.w": torch.ones(3)}, "c", "r"))
    images = b"\0\0\x08\x03" + (2).to_bytes(4, "big") + (28).to_bytes(4, "big") * 2 + bytes(2 * 784)
    (tmp_path / "images.gz").write_bytes(gzip.compress(images, mtime=0))
    (tmp_path / "basic_train.tsv").write_text("Source\tTarget\n( ( ( [MAX 1 ) 2 ) ] )\t2\n")
    (tmp_path / "manifest.json").write_text('{"a": "b"}')
    (tmp_path / "d.json").write_text('{"model": "x", "rows": []}')
    chain.create(tmp_path / "m.jsonl", "metrics", [{"step": 1}, {"step": 2}])
    readers = {
        next(run.glob("*.safetensors")): lambda: checkpoint.load(run, "c", "r"),
        run / checkpoint.POINTER: lambda: checkpoint.load(run, "c", "r"),
        tmp_path / "images.gz": lambda: fashion.read_idx(tmp_path, "images.gz"),
        tmp_path / "basic_train.tsv": lambda: listops.read_official(tmp_path, "train", 100),
        tmp_path / "manifest.json": lambda: files.verify_manifest(tmp_path),
        tmp_path / "d.json": lambda: Diagram.load(tmp_path / "d.json"),
        tmp_path / "m.jsonl": lambda: chain.read(tmp_path / "m.jsonl", "metrics"),
        tmp_path / run_folder.RESULT: lambda: run_folder.read_result(tmp_path),
    }
    whole = {path: path.read_bytes() if path.exists() else b'{"a": 1, "hash": "x"}' for path in readers}
    for n in rounds(60):
        draw = random.Random(n)
        path = draw.choice(sorted(readers))
        data = bytearray(whole[path])
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(data) + 1)
            data[at:at + draw.randint(0, 8)] = draw.choice(BYTES)
        path.write_bytes(data)
        understood(within, readers[path], (path.name, bytes(data[:300])))
        path.write_bytes(whole[path])
