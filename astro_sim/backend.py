"""Where Brian2 runs: NumPy, Cython, or C++ standalone. Preferences, device and random state are put back afterwards."""

import contextlib
import sys
import tempfile
import threading
from collections.abc import Iterator

from foundation.errors import ResourceError


def load() -> None:
    """Import Brian2 from any thread, such as a worker's of dask.

    Brian2 takes Ctrl-C when it is imported, which Python refuses outside the main thread: there it goes without.
    """
    import signal

    if "brian2" in sys.modules or threading.current_thread() is threading.main_thread():
        return
    taken, signal.signal = signal.signal, lambda *given: None
    try:
        import brian2  # noqa: F401
    finally:
        signal.signal = taken


class Runtime:
    """NumPy or Cython: steps run in this process."""

    def finish(self) -> None:
        """Nothing is left to do: `Network.run` has run."""


class Standalone:
    """C++: `Network.run` only writes code; `finish` compiles and runs it in a folder of its own."""

    def __init__(self, folder: str):
        self.folder = folder

    def finish(self) -> None:
        self._build(run=True)

    def compile(self) -> None:
        """Leave the program `main` in the folder, to be run later."""
        self._build(run=False)

    def _build(self, run: bool) -> None:
        from brian2 import device

        try:
            device.build(directory=self.folder, compile=True, run=run, with_output=False)
        except (RuntimeError, OSError) as error:
            raise ResourceError(f"backend cpp: compiling or running failed ({error}); is a C++ compiler installed? "
                                "Use --backend numpy otherwise") from error


@contextlib.contextmanager
def opened(name: str, seed: int, folder: str | None = None) -> Iterator[Runtime | Standalone]:
    """The backend `name`, seeded. Everything that touches Brian2's arrays must happen inside.

    folder: for cpp, where the program stays; by default it is removed.
    """
    import brian2

    with _standalone(folder) if name == "cpp" else _runtime(name) as backend:
        brian2.seed(seed)
        yield backend


@contextlib.contextmanager
def _runtime(target: str) -> Iterator[Runtime]:
    import brian2
    import numpy as np

    old_target, old_state = brian2.prefs["codegen.target"], np.random.get_state()  # noqa: NPY002  Brian2 draws from it
    brian2.prefs["codegen.target"] = target
    try:
        yield Runtime()
    finally:
        brian2.prefs["codegen.target"] = old_target
        np.random.set_state(old_state)  # noqa: NPY002


@contextlib.contextmanager
def _standalone(folder: str | None) -> Iterator[Standalone]:
    from brian2.devices.device import device, reset_device, set_device

    set_device("cpp_standalone", build_on_run=False)
    try:
        own = tempfile.TemporaryDirectory(prefix="astro_sim_") if folder is None else contextlib.nullcontext(folder)
        with own as place:
            device.reinit()  # a second run in one process starts from nothing
            device.activate(build_on_run=False)
            yield Standalone(place)
    finally:
        device.reinit()
        reset_device()
