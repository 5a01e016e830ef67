"""A bifurcation diagram read back from the JSON that holds all of it, and a hash of itself."""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_origin, get_type_hints

from foundation import sealed, trailer
from foundation.errors import DamagedFileError, UserError
from foundation.reading import is_file, read_json, shown

KIND = "bifurcation diagram"
FORMAT = f"astro_sim {KIND} 1"  # of NetCDF
MAX_BYTES = 100_000_000  # a hundred times what a fine scan writes


def read(path: Path, kind: type) -> dict:
    """The fields of a dataclass from a JSON file of at most `MAX_BYTES`.

    Files of before version 1 of the schema have no hash. Errors: `UserError` for a file that cannot be read or that a
    later version wrote, `DamagedFileError` for one that was altered or holds something else.
    """
    if not is_file(path):
        raise UserError(f"diagram {shown(path)}: no such file; make one with 'astro-sim scan ... --out {shown(path)}'")
    if path.suffix == ".nc":
        return _without_json(path)
    body = read_json(path, "diagram", MAX_BYTES)
    if isinstance(body, dict) and sealed.HASH in body:
        body = sealed.verified(body, path, KIND, what_to_do="scan again")
        del body["schema"]
    hints = get_type_hints(kind)
    required = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}
    if not isinstance(body, dict) or not required <= body.keys() <= hints.keys():
        raise DamagedFileError(f"diagram {path}: not a diagram; it should hold {', '.join(sorted(required))}")
    for name, value in body.items():
        wanted = get_origin(hints[name]) or hints[name]
        if not isinstance(value, wanted):
            raise DamagedFileError(f"diagram {path}: {name} is no {wanted.__name__}")
        if hints[name] == list[dict] and not all(isinstance(row, dict) for row in value):
            raise DamagedFileError(f"diagram {path}: {name} holds something that is no row")
    return body


def _without_json(path: Path) -> dict:
    """NetCDF is for other programs: whether it is whole is said, and what to read instead."""
    whole = trailer.sealed_hash(path, "diagram", what_to_do="scan again")
    raise UserError(f"diagram {shown(path)}: NetCDF{', as it was written,' if whole else ''} is for other programs, as "
                    "xarray.open_dataset; save .json as well to read it here")
