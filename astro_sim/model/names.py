"""Which names a model may not give: those that mean something else in Brian2, or that the compiler makes itself.

A parameter called `e` or `mM` would run with Brian2's value: its constants, units and functions go before any name of
ours. They are read from Brian2's own tables; as importing them takes two seconds, its files are searched first, and the
tables decide only about what is found there.
"""

import functools
import importlib.util
import keyword
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

RESERVED = {  # in Brian2's equations and ours
    "t": "the time", "dt": "the step", "t_in_timesteps": "the number of steps", "i": "the index of an element",
    "j": "the index of a target", "N": "the number of elements", "N_pre": "the number of sources",
    "N_post": "the number of targets", "N_incoming": "the number of pairs of a target",
    "N_outgoing": "the number of pairs of a source", "lastspike": "the time of the last spike",
    "not_refractory": "whether an element may spike", "refractory": "the refractory time", "delay": "a pair's delay",
    "lastupdate": "the time of the last spike of a pair", "xi": "noise",
    "variables": "all variables of a group", "since_arrival": "the time since a spike's arrival",
    "arrival_time": "the time of a spike's arrival",
}
MADE = re.compile(r"(course|column)_\w+|part_\d+|\w+_(part|slope|curve)_\d+|step_start|fresh")  # see astro_sim/brian
PARTS = re.compile(r"clock_step|clock_record|left_open|empty_monitors|\w+_monitor")
_QUOTED = re.compile(r'^    "(\w+)"(?:,$|: )', re.MULTILINE)
_TABLES = (("units/allunits.py", ""), ("units/stdunits.py", ""), ("core/functions.py", "\nDEFAULT_FUNCTIONS = "))
LONGEST = 100  # letters of a name
FEWEST = 1000  # names: with fewer its files have another form than here, and the tables are asked about all


def problem_of(name: str) -> str | None:
    """Why a parameter, an input's variable or a line may not have the name; None where it may."""
    if len(name) > LONGEST:
        return f"has {len(name)} letters; {LONGEST} are allowed"
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or keyword.iskeyword(name):
        return "is no name: write letters, digits and _, a letter first, no word of Python"
    if name.startswith("_"):
        return "begins with _, which Brian2 keeps for itself"
    if name.startswith("xi_"):
        return f"is {RESERVED['xi']}"
    if name in RESERVED:
        return f"is {RESERVED[name]}"
    if MADE.fullmatch(name):
        return "is a name that the simulator makes for inputs"
    return None


def taken_by_brian2(names: Iterable[str]) -> dict[str, str]:
    """Those of the names that Brian2 reads as its own constant, function or unit: name -> which of them."""
    asked, quick = set(names), _in_files()
    suspect = asked if quick is None or "brian2" in sys.modules else asked & quick
    if not suspect:
        return {}
    return {name: kind for kind, table in _tables().items() for name in suspect if name in table}


def _tables() -> dict[str, Mapping]:
    from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS, DEFAULT_UNITS

    return {"function": DEFAULT_FUNCTIONS, "constant": DEFAULT_CONSTANTS, "unit": DEFAULT_UNITS}


@functools.cache
def _in_files() -> frozenset[str] | None:
    """All names in the files of Brian2 that hold its tables, and some more; None where they cannot be read so."""
    found: set[str] = set()
    try:
        folder = Path(importlib.util.find_spec("brian2").submodule_search_locations[0])
        for file, start in _TABLES:
            found.update(_QUOTED.findall((folder / file).read_text("utf-8").partition(start)[2] if start else
                                         (folder / file).read_text("utf-8")))
    except (OSError, AttributeError, TypeError, ValueError):
        return None
    return frozenset(found) if len(found) > FEWEST else None
