"""Content that nobody wrote on purpose, for every reader: mutated files with right hashes, texts, tables, configs.

Whatever is read, the error is the project's own, nothing hangs, nothing fills the memory. What once failed is kept as a
test elsewhere, or in CORPUS.
"""

import contextlib
import copy
import io
import json
import random
import shutil
import warnings

import numpy as np
import pytest

from foundation import chain, sealed, trailer
from foundation.errors import UserError
from foundation.files import write_manifest

SECONDS = 5  # of CPU time for one reading
STRANGE = [None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, -1e308, 5e-324, .5, "", "x", "x" * 5000, "\0",
           "\ud800", "nan", "1e999", "second", "9**9**9", "(" * 300, "dx/dt = x : 1", "$x$ \\frac", "../../etc", [], {},
           [[]], [1, 2], ["a"], {"a": 1}, {"kind": "x"}, [None], [1e400], "{}", "%s", "numpy", "rk4", "constant"]
MISSING = object()
TINY = ["task.num_segments=2", "task.segment=3", "task.train=7", "task.validation=3", "task.test=5",
        "model.segment_length=3", "model.width=8", "model.layers=1", "model.num_memory_tokens=2", "train.batch_size=3",
        "train.evaluate_every=2", "train.checkpoint_every=2", "train.warmup=2"]
CORPUS = {  # (path into the meta, value), by what it once raised
    "a bound that is no parameter": (("declared", "observables", "C", "low"), "nothing"),
    "a size that is no number": (("declared", "populations", "astrocyte"), "x"),
    "a unit that is none": (("declared", "initial_units", "C"), "x" * 5000),
    "an option that is none": (("options",), {"n": "x"}),
    "a drive of no kind": (("protocol",), [{"kind": "x", "input": "ip3"}]),
    "a negative duration": (("solver", "duration_s"), -1.0),
    "a step of zero": (("solver", "dt_s"), 0.0),
    "a huge whole number": (("solver", "record_every"), 10**400),
    "parameters that are missing": (("parameters",), MISSING),
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
            holder[key] = copy.deepcopy(draw.choice(STRANGE))  # they may be changed next
        elif what < .75:
            del holder[key]
        elif what < .9:
            other, name = draw.choice(places)
            try:
                holder[key] = copy.deepcopy(other[name])
            except (KeyError, IndexError):
                continue
        elif isinstance(holder, dict):
            holder[draw.choice(["x", "", "y" * 300, "é"])] = copy.deepcopy(draw.choice(STRANGE))
        else:
            holder.insert(0, copy.deepcopy(draw.choice(STRANGE)))
    return value


def walk(value):
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from walk(value[key])


BYTES = [b"", b"\0", b"\xff" * 8, b"[" * 100_000, b'"', b"{", b"9" * 400, b"null", b"\n", b"1e999", b"NaN", b"\t",
         b"]", bytes(8)]


CELLS = [b"", b"\0", b"\xff", b",", b'"', b"(", b"9" * 400, b"nan", b"\n", b"{", b"'shape': (9999999999, 9)", b"O",
         bytes(20)]


def spoiled(content, draw, pieces, *, most, longest):
    """Some pieces put into a file's bytes, each in the place of at most `longest` of them."""
    data = bytearray(content)
    for _ in range(draw.randint(1, most)):
        at = draw.randrange(len(data) + 1)
        data[at:at + draw.randint(0, longest)] = draw.choice(pieces)
    return bytes(data)


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
    """All that is done with a recording: loading, its plan, its summary, its words, its tables, its sources."""
    from astro_sim.analysis.summary import summarise, text
    from astro_sim.plan import plan_of
    from astro_sim.recording.recording import Recording
    from astro_sim.run.fitting.tables import read_table
    from astro_sim.show import citations

    found = Recording.load(path)
    tried = [lambda: str(found), found.to_pandas, found.to_xarray, found._repr_html_, lambda: text(summarise(found)),
             lambda: plan_of(found.meta), lambda: read_table(found), lambda: citations.bibtex(found),
             lambda: found.export(path.with_suffix(".csv"))]
    refused = []
    for one in tried:  # each says for itself what it cannot do with it
        try:
            one()
        except UserError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def test_what_once_failed(within, tmp_path, recording):
    from astro_sim.recording.recording import Recording

    for name, (path, value) in CORPUS.items():
        meta = json.loads(json.dumps(recording.meta))
        holder = meta
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value
        if value is MISSING:
            del holder[path[-1]]
        Recording(recording.time, recording.variables, meta).save(tmp_path / "a.nc")
        understood(within, lambda: everything_of(tmp_path / "a.nc"), name)


def test_a_text_that_is_no_tree_is_not_repeated_whole(tmp_path):
    """A file of ListOps whose token has 100,000 letters."""
    from rmaat.tasks import listops

    (tmp_path / "basic_train.tsv").write_text(f"Source\tTarget\n( ( {'[' * 100_000} 1 ) ] )\t2\n", "utf-8")
    with pytest.raises(UserError, match="is not in the vocabulary") as raised:
        listops.read_official(tmp_path, "train", 100)
    assert len(str(raised.value)) < 1_000


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


WORDS = [bytes(8), b"\xff" * 8, (2**64 - 16).to_bytes(8, "little"), (2**31).to_bytes(8, "little"), b"\1" + bytes(7)]


@pytest.mark.minutes
def test_recordings_of_bytes_that_nobody_wrote_with_the_right_hash(within, rounds, tmp_path, recording):
    """The file's own structures are bent, the hash of the whole is right: HDF5 may hang, crash or fill the memory."""
    whole = recording.save(tmp_path / "a.nc").read_bytes()[:-trailer.LENGTH]
    for n in rounds(8):
        draw = random.Random(n)
        data = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(data) - 8)
            word = draw.choice([*WORDS, draw.randbytes(1), draw.randbytes(4)])
            data[at:at + len(word)] = word
        write_sealed(tmp_path / "b.nc", data)
        understood(within, lambda: everything_of(tmp_path / "b.nc"), (n, "bytes"))


@pytest.mark.minutes
def test_recordings_of_another_structure_with_the_right_hash(within, rounds, tmp_path, recording):
    """Arrays, attributes and dimensions are others than a recording has, as any program could write them."""
    whole = recording.save(tmp_path / "a.nc").read_bytes()[:-trailer.LENGTH]
    for n in rounds(8):
        draw = random.Random(n)
        (tmp_path / "b.nc").write_bytes(whole)
        edits = [edit(tmp_path / "b.nc", draw) for _ in range(draw.randint(1, 3))]
        write_sealed(tmp_path / "b.nc", (tmp_path / "b.nc").read_bytes())
        understood(within, lambda: everything_of(tmp_path / "b.nc"), (n, edits))


def write_sealed(path, data):
    """With the right hash behind it; written by nobody whom `foreign` knows."""
    path.write_bytes(data)
    trailer.seal(path)


def edit(path, draw):
    """Change something in an HDF5 file; what."""
    import h5py

    with h5py.File(path, "r+") as file:
        name, what = draw.choice(sorted(file)), draw.choice(["remove", "replace", "attribute", "forget", "group"])
        attribute = draw.choice(sorted(file[name].attrs) or ["units"])
        place, attribute = (file, draw.choice(sorted(file.attrs))) if draw.random() < .3 else (file[name], attribute)
        value = draw.choice([0, -1, "x", b"\xff", [1, 2], np.zeros((2, 2)), "", 1e308, np.nan, ["a", "b"],
                             h5py.Empty("f"), "x" * 5000, "{}", np.bool_(True)])
        made = draw.choice([
            {"data": 0.0}, {"data": np.zeros((101, 1, 2))}, {"data": np.zeros((101, 1), "i1")}, {"data": "text"},
            {"data": np.zeros((0, 0))}, {"data": ["a"] * 101}, {"data": np.zeros(101, [("a", "f8"), ("b", "i4")])},
            {"data": np.full((101, 1), np.nan)}, {"data": np.zeros((101, 1), "c16")}, {"data": h5py.Empty("f")},
            {"shape": (10**9, 1), "dtype": "f8", "chunks": (1000, 1)}, {"data": np.zeros((101, 1), ">f2")},
            {"data": np.zeros((101, 1)), "compression": "gzip"}, {"data": np.zeros((101, 3))}])
        if what in ("remove", "replace", "group"):
            del file[name]
        if what == "replace":
            file.create_dataset(name, **made)
        if what == "group":
            file.create_group(name)
        with contextlib.suppress(Exception):  # what HDF5 does not write
            if what == "attribute":
                place.attrs[attribute] = value
            if what == "forget":
                del place.attrs[attribute]
    return what, name, attribute


@pytest.mark.minutes
def test_json_with_the_right_hash(within, rounds, tmp_path):
    """Files of studies, ensembles, points, diagrams and changes, and what is done with what they say."""
    from dataclasses import asdict

    from astro_sim.dynamics.diagram import Diagram
    from derivation.record import ensemble, points, record
    from figures.report.gathering import gather
    from rmaat.training import changes, run_folder
    from rmaat.training.configs import find_experiment
    from rmaat.training.experiment import to_json
    from rmaat.training.studies.compare import compare
    from rmaat.training.studies.summary import read_summaries

    known, path = record.load(), tmp_path / "a.json"
    rows = [{"accuracy": .5, "loss": .7, "samples": 5, "split": "test", "correct": 2}]
    run = {"experiment": to_json(find_experiment("recall", [])), "config_hash": "c" * 64, "record": known.hash,
           "environment": {"device": "cpu", "threads": 1}, "fingerprints": {"test": "a"}, "step": 7, "rows": rows,
           "costs": {"parameters": 7, "peak_bytes": 8, "tokens_per_second": 9., "tokens": 7, "seconds": 1.},
           "validation": [{"step": 5, "loss": .7, "accuracy": .5}], "training": [{"step": 5, "loss": .7,
                                                                                  "accuracy": .5}], "files": {}}
    found = [{"input": x / 7, "C": x / 3, "stable": x < 2, "branch": 1} for x in range(4)]
    diagram = Diagram("own", "p", "ip3", "C", {"ip3": "umolar", "C": "umolar"}, found, [.25], [1 / 9], [],
                      long_names={})

    def look_at_diagram():
        found = Diagram.load(path)
        for one in (lambda: str(found), found.to_xarray, found._repr_html_):
            with contextlib.suppress(UserError):
                one()

    def look_at_runs():
        gather([path])
        read_summaries(path)
        found = compare(path)
        str(found), found.csv(), found.markdown()

    kinds = {
        "study": ({"kind": "summaries of runs", "schema": 1, "name": "x", "command": "", "runs": [run]}, look_at_runs),
        "ensemble": (json.loads(ensemble.path_beside(None).read_text("utf-8")), lambda: [
            ensemble.load(path).sample(known, which) for which in ("0", "1")]),
        "points": (json.loads(points.path_beside(None).read_text("utf-8")), lambda: points.load(path)),
        "diagram": ({"kind": "bifurcation diagram", "schema": 1, **asdict(diagram)}, look_at_diagram),
        "result": ({"schema": 2, "accuracy": .5, "rows": rows}, lambda: run_folder.read_result(tmp_path)),
        "changes": ({"kind": "changes", "schema": 1, "changes": [{"step": 5, "fields": {"train.steps": [3, 5]}}]},
                    lambda: changes.histories(run["experiment"], changes.read(tmp_path))),
    }
    names = {"result": run_folder.RESULT, "changes": changes.CHANGES}
    for n in rounds(24):
        draw = random.Random(n)
        kind = draw.choice(sorted(kinds))
        body, look = kinds[kind]
        bent = mutated({key: value for key, value in body.items() if key != "hash"}, draw)
        if not isinstance(bent, dict):
            continue
        try:
            text = json.dumps({**bent, "hash": sealed.hash_of(bent)})
            (tmp_path / names.get(kind, "a.json")).write_text(text, "utf-8")
        except ValueError:
            continue
        with contextlib.redirect_stderr(io.StringIO()):
            understood(within, look, (n, kind, text[:1500]))


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
    from astro_sim.parameter import read_columns

    stream = io.BytesIO()
    np.save(stream, np.arange(24.).reshape(8, 3))
    whole = {".csv": b"time (s), ip3 (uM)\n0, 0.1\n10, 0.3\n20, 0.2\n", ".tsv": b"a\tb\n1\t2\n", ".txt": b"1\n2\n",
             ".npy": stream.getvalue()}
    for n in rounds(80):
        draw = random.Random(n)
        ending = draw.choice(sorted(whole))
        data = spoiled(whole[ending], draw, CELLS, most=4, longest=3)
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
        data = spoiled(whole[path], draw, BYTES, most=4, longest=8)
        path.write_bytes(data)
        understood(within, readers[path], (path.name, bytes(data[:300])))
        path.write_bytes(whole[path])


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """The folder of a run that was extended from 2 steps to 4."""
    from rmaat.training.trainer import train

    folder = tmp_path_factory.mktemp("run") / "run"
    with warnings.catch_warnings(action="ignore"):
        for steps in (2, 4):
            train("recall", folder, changes=[*TINY, f"train.steps={steps}"], device="cpu", quiet=True, resume=True)
    return folder


READ = ("config.json", "environment.json", "result.json", "changes.json", "metrics.jsonl", "checkpoint.json")


@pytest.mark.minutes
def test_run_folders_with_the_right_hashes(extended, within, rounds, tmp_path):
    """Any of a run's files says what nobody foresaw, and the manifest, the chain and the hashes are made for it."""
    from rmaat.trace.report import trace
    from rmaat.training import evaluation, run_folder
    from rmaat.training.result import load_run
    from rmaat.training.studies.compare import compare
    from rmaat.training.studies.summary import summarise

    def traced(folder):
        run = run_folder.read(folder)
        return str(trace(run.experiment.model, run.record, None))

    looks = [summarise, lambda folder: str(load_run(folder)), lambda folder: load_run(folder).plot(), traced,
             lambda folder: evaluation.evaluate(folder, controls=False), lambda folder: str(compare([folder]))]
    for n in rounds(12):
        draw = random.Random(n)
        name = draw.choice(READ)
        place = tmp_path / str(n)
        shutil.copytree(extended, place)
        if not bend(place, name, draw):
            continue
        with contextlib.redirect_stderr(io.StringIO()):
            for look in looks:
                understood(within, lambda look=look, place=place: look(place), (n, name, place))
        shutil.rmtree(place)


def bend(folder, name, draw):
    """Mutate what a file says, and make every hash that covers it anew; whether that can be written."""
    path = folder / name
    try:
        if name.endswith("l"):
            lines = mutated(list(chain.read(path, "metrics").lines), draw)
            chain.create(path, "metrics", [line if isinstance(line, dict) else {"x": line} for line in lines])
            head = chain.read(path, "metrics").head
            body = json.loads((folder / "result.json").read_text("utf-8")) | {"metrics_hash": head}
            path = folder / "result.json"
        else:
            body = mutated(json.loads(path.read_text("utf-8")), draw)
        if isinstance(body, dict) and "hash" in body:
            body.pop("hash")
            body["hash"] = sealed.hash_of(body)
        path.write_text(json.dumps(body), "utf-8")
    except (TypeError, ValueError, AttributeError):
        return False
    write_manifest(folder, ["config.json", "record.json", "environment.json"])
    return True


STUDY = """name = "x"
configs = ["recall", "listops"]
variants = ["rmaat", "rmt+memory_8"]
seeds = [0, 1]
data = { recall = "x" }
[set]
train = { steps = 3, "batch_size" = 2 }
[[rows]]
name = "a"
set = { "model.width" = 8 }
[[rows]]
variants = ["gru"]
"""
HANDWRITTEN = [b"", b"\0", b"\xff", b"\xef\xbb\xbf", b",", b";", b"\t", b'"', b"'", b"[", b"]", b"{", b"}", b"=",
               b"[[rows]]\n", b"#", b"\n", b"\r", b"9" * 400, b"nan", b"1e999", b"-1", b"true", b"[" * 2000, b"s",
               b"(uM)", b"a.b.c = 1\n"]


@pytest.mark.minutes
def test_what_users_write_by_hand(within, rounds, tmp_path):
    """Studies in TOML, data to fit, rasters and samples for drives; and the file of a stream."""
    import torch

    from astro_sim.protocols import drives
    from astro_sim.run.fitting.tables import read_table
    from derivation.record import record
    from rmaat.biology.biology import Biology
    from rmaat.model.config import ModelConfig
    from rmaat.model.model import RMAAT
    from rmaat.model.stream import Stream
    from rmaat.training.studies.plan import read_study

    torch.manual_seed(0)
    model = RMAAT(ModelConfig(vocab_size=9, num_classes=2, width=8, layers=1, heads=2, segment_length=4, num_segments=3,
                              num_memory_tokens=2), Biology.of(record.load())).eval()
    stream = Stream(model, num_segments=3)
    stream.feed(torch.tensor([[1, 2, 3, 4, 5]]))
    stream.save(tmp_path / "stream.safetensors")
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "fit.csv").write_text("t (s), C (uM), Ca_ER\n0, 0.1, 2\n10, 0.3, 1.5\n20, 0.2, 1.75\n")
    (tmp_path / "raster.csv").write_text("index, time (s)\n0, 0.1\n1, 0.3\n0, 0.5\n")
    (tmp_path / "samples.csv").write_text("time (s), ip3 (uM)\n0, 0.1\n10, 0.3\n20, 0.2\n")

    def drive(kind, name):
        return lambda: drives(f"{kind}:input=x,file={tmp_path / name}")

    readers = {"stream.safetensors": lambda: Stream(model, num_segments=3).load(tmp_path / "stream.safetensors"),
               "study.toml": lambda: read_study(tmp_path / "study.toml").points(),
               "fit.csv": lambda: read_table(tmp_path / "fit.csv"), "raster.csv": drive("raster", "raster.csv"),
               "samples.csv": drive("samples", "samples.csv")}
    whole = {name: (tmp_path / name).read_bytes() for name in readers}
    for name, read in readers.items():
        assert understood(within, read, name)
    for n in rounds(40):
        draw = random.Random(n)
        name = draw.choice(sorted(readers))
        data = spoiled(whole[name], draw, HANDWRITTEN, most=3, longest=12)
        (tmp_path / name).write_bytes(data)
        understood(within, readers[name], (name, n, bytes(data[:600])))
