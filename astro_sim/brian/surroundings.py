"""What Brian2 keeps for the whole process, set aside while one of our runs lasts: nothing around a run decides numbers.

Preferences (also those of a `brian_preferences` file) are those of Brian2 itself, but for where compilers and caches
are; the device is one that no script has chosen; random states are given back. Clocks and networks of a script are not
touched, as ours are our own.
"""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

# where things are, and what is said: numbers do not depend on these
ELSEWHERE = ("logging.", "codegen.cpp.compiler", "codegen.cpp.include_dirs", "codegen.cpp.library_dirs",
             "codegen.cpp.runtime_library_dirs", "codegen.cpp.libraries", "codegen.cpp.msvc_", "GSL.",
             "codegen.runtime.cython.", "codegen.max_cache_dir_size", "devices.cpp_standalone.make_cmd",
             "devices.cpp_standalone.run_cmd", "devices.cpp_standalone.extra_make", "devices.cpp_standalone.run_env",
             "core.outdated", "core.stop_on")
_BUFFERS = ("rand_buffer", "randn_buffer", "rand_buffer_index", "randn_buffer_index")


def preferences_changed() -> dict[str, str]:
    """Preferences that may decide numbers and are not Brian2's own: name -> what they are."""
    from brian2 import prefs

    return {name: str(prefs[name]) for name in sorted(prefs) if not name.startswith(ELSEWHERE)
            and name != "codegen.target" and _differ(prefs[name], _default(name))}


@contextlib.contextmanager
def plain_preferences(**chosen: Any) -> Iterator[None]:
    """Brian2's own preferences, and those chosen ("codegen.target"), until the end."""
    from brian2 import prefs

    wanted = {name: _default(name) for name in prefs if not name.startswith(ELSEWHERE)} | chosen
    before = {name: prefs[name] for name, value in wanted.items() if _differ(prefs[name], value)}
    try:
        for name in before:
            prefs[name] = wanted[name]
        yield
    finally:
        for name, value in before.items():
            prefs[name] = value


def _default(name: str) -> Any:
    from brian2 import prefs

    group, _, last = name.rpartition(".")
    return prefs.pref_register[group][0][last].default


def _differ(value: Any, other: Any) -> bool:
    return type(value) is not type(other) or str(value) != str(other)


@contextlib.contextmanager
def device_of_our_own(device: Any) -> Iterator[None]:
    """`device` in the place of the script's until the end; that is not touched, whatever it has begun."""
    devices = importlib.import_module("brian2.devices.device")  # the package's attribute of that name is a device
    before, devices.active_device = devices.active_device, device
    try:
        yield
    finally:
        devices.active_device = before


@contextlib.contextmanager
def random_states() -> Iterator[None]:
    """Give back the random states of NumPy and of Brian2's compiled code at the end."""
    from brian2.devices.device import runtime_device

    state = np.random.get_state()  # noqa: NPY002  Brian2 draws from it
    buffers = {name: getattr(runtime_device, name).copy() for name in _BUFFERS if hasattr(runtime_device, name)}
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
        for name, values in buffers.items():
            getattr(runtime_device, name)[:] = values
