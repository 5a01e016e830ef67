"""The experiment of a run's folder, read back strictly: what is of a user's own must be there, and as it was."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from foundation.errors import DamagedFileError, UserError
from foundation.files import sha256_file
from foundation.outside import find
from foundation.reading import content_of
from foundation.reference import fingerprints, is_session
from rmaat.model.config import ModelConfig
from rmaat.tasks.checks import WANTED, fits
from rmaat.tasks.registry import TASKS
from rmaat.tasks.task import Task
from rmaat.training.experiment import LATER, Experiment, TrainConfig
from rmaat.training.fields import fields_of


def from_json(body: object, where: str) -> Experiment:
    """The experiment that `to_json` wrote.

    Raises `DamagedFileError` naming what is missing, unknown or mistyped, and `UserError` for a file of the user's own
    that is not there or was changed.
    """
    _keys(body, ("name", "task", "model", "train", "files"), where)
    if not isinstance(body["task"], Mapping) or not isinstance(body["task"].get("name"), str):
        raise DamagedFileError(f"{where}: task.name is missing")
    body = _moved(body, check_files(body["files"], where))
    dials = {name: value for name, value in body["task"].items() if name != "name"}
    try:
        with content_of(where):
            task = find("task", body["task"]["name"], TASKS, of=Task)
            return Experiment(str(body["name"]), _build(task, dials, f"{where}: task"),
                              _build(ModelConfig, body["model"], f"{where}: model"),
                              _build(TrainConfig, body["train"], f"{where}: train"))
    except DamagedFileError:
        raise
    except UserError as error:
        if body["files"]:  # what is of the user's own may have its own opinion
            raise
        raise DamagedFileError(f"{where}: {error}") from error


def check_files(files: object, where: str) -> dict[str, str]:
    """Where the files of the user's own are now, by where they were: there, or in the folder that one works in.

    Raises `UserError` naming one that is missing or was changed. What was typed into a session is no file.
    """
    if not isinstance(files, Mapping) or not all(isinstance(digest, str) for digest in files.values()):
        raise DamagedFileError(f"{where}: 'files' should be names with their SHA-256")
    places = {}
    for name, digest in files.items():
        if is_session(name):
            _check_session(name, digest, where)
            continue
        place = next((path for path in (Path(name), Path.cwd() / Path(name).name) if path.is_file()), None)
        if place is None:
            raise UserError(f"{where}: the run needs your file {name}, which is not there; put it back, or put it into "
                            "the current folder")
        if sha256_file(place) != digest:
            raise UserError(f"{where}: your file {place} was changed since the run began (SHA-256 {digest[:12]} then); "
                            "take the file of then, or train anew with another --out")
        places[name] = str(place)
    return places


def _check_session(name: str, digest: str, where: str) -> None:
    """What was typed into a session should read as it did then, as far as Python knows its text."""
    now = fingerprints(name)[name]
    if digest and now and now != digest:
        raise UserError(f"{where}: your {name.partition(':')[2]} was changed since the run began; define it as it was "
                        "then, or train anew in another folder")


def _moved(value, places: Mapping[str, str]):
    """References with the files' places of now in the place of those of then."""
    if isinstance(value, Mapping):
        return {key: _moved(part, places) for key, part in value.items()}
    if isinstance(value, str):
        before, colon, name = value.rpartition(":")
        return f"{places.get(before, before)}{colon}{name}"
    return value


def _keys(body: object, names: Iterable[str], where: str, *, later: Iterable[str] = ()) -> None:
    if not isinstance(body, Mapping):
        raise DamagedFileError(f"{where}: expected an object, found {type(body).__name__}")
    if wrong := sorted((set(names) ^ set(body)) - set(later)):
        raise DamagedFileError(f"{where}: {wrong[0]!r} is {'unknown' if wrong[0] in body else 'missing'}; "
                               f"known are {', '.join(names)}")


def _build(kind: type, body: object, where: str):
    """A config of the class `kind` from its fields; nothing is left to its defaults but what older runs do not know."""
    fields = fields_of(kind)
    _keys(body, fields, where, later=LATER if kind is TrainConfig else ())
    for name, value in body.items():
        if not fits(value, fields[name]):
            raise DamagedFileError(f"{where}.{name}: expected {WANTED[fields[name]]}, found {value!r}")
    return kind(**{name: _tuple(value) for name, value in body.items()})


def _tuple(value):
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
