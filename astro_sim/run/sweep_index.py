"""The index of a sweep's folder, a CSV that a person reads: which file holds which values, and what failed."""

from collections.abc import Mapping
from pathlib import Path

from astro_sim.run.varied import flat, number, unit_of
from foundation import sealed_table
from foundation.errors import DamagedFileError
from foundation.files import write_text
from foundation.reading import is_file, read_text

MOST_BYTES = 1 << 28
KIND, TO_DO = "index", "remove it, and run the sweep again"
HEADS = ("file", "what became of it")


def index_path(folder: Path, shard: str) -> Path:
    """index.csv; each shard writes its own, so that none waits for another."""
    return folder / ("index.csv" if shard == "1/1" else f"index.{shard.replace('/', '-of-')}.csv")


def write_index(path: Path, points: Mapping[str, Mapping], became: Mapping[str, str]) -> Path:
    """Add the points of a sweep to the index at `path`; rows of other sweeps in the folder stay.

    points: keywords by name; became: name -> "recorded", or why it failed.
    """
    rows = _read(path)
    for name, point in points.items():
        rows[f"{name}.nc"] = {HEADS[0]: f"{name}.nc", HEADS[1]: became[name], **_told(point)}
    heads = list(dict.fromkeys([*HEADS, *(head for row in rows.values() for head in row)]))
    write_text(path, sealed_table.text_of(KIND, heads, rows.values()))
    return path


def _told(point: Mapping) -> dict[str, str]:
    """A point's keywords under heads with their units."""
    row = {}
    for key, value in flat(point).items():
        unit = unit_of(point, key)
        if value is not None:
            row[f"{key} ({unit})" if unit not in ("", "1") else key] = str(number(value, unit, key))
    return row


def _read(path: Path) -> dict[str, dict[str, str]]:
    """The rows of an index by file. Errors: `DamagedFileError` for one that was altered, and for a file that is none.
    """
    if not is_file(path):
        return {}
    heads, rows, _ = sealed_table.read(read_text(path, "index", MOST_BYTES), path, what_to_do=TO_DO)
    if tuple(heads[:2]) != HEADS:
        raise DamagedFileError(f"{path} is not the index of a sweep (its first column is not '{HEADS[0]}'); {TO_DO}")
    return {row[HEADS[0]]: {head: text for head, text in row.items() if text and head} for row in rows}
