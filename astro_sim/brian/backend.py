"""Where Brian2 runs: NumPy, Cython, or C++ standalone, apart from what the script around it has set up."""

import contextlib
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from astro_sim.brian.surroundings import device_of_our_own, plain_preferences, random_states
from foundation.errors import ResourceError
from foundation.stopping import gently

# of what Brian2 writes into network.cpp
TIMING = """        current = std::clock();
        elapsed_realtime = (double)(current - start)/(1 * CLOCKS_PER_SEC);
"""
AFTER_THE_LOOP = "    Network::_globally_running = false;\n"


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


@contextlib.contextmanager
def ctrl_c_stops() -> Iterator[None]:
    """Inside, Ctrl-C ends Brian2's run after the step that it is in, and so does SIGTERM in a program.

    Brian2 takes Ctrl-C when it is imported; another program may have taken it since, or a thread imported it.
    """
    import signal

    import brian2

    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
        yield
        return
    stop = brian2._InterruptHandler(signal.default_int_handler)
    taken = isinstance(before, brian2._InterruptHandler)
    if not taken:
        signal.signal(signal.SIGINT, brian2._InterruptHandler(before if callable(before) else stop.previous_handler))
    try:
        with gently(lambda: stop(signal.SIGINT, None)):
            yield
    finally:
        if not taken:
            signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)


class Runtime:
    """NumPy or Cython: steps run in this process."""

    def finish(self) -> None:
        """Nothing is left to do: `Network.run` has run."""


class Standalone:
    """C++: `Network.run` only writes code; `finish` compiles and runs it in a folder of its own."""

    def __init__(self, folder: str):
        self.folder = folder

    def finish(self) -> None:
        """Compile and run what was built; results are there afterwards."""
        from brian2 import device

        with _said_plainly():
            device.build(directory=self.folder, compile=True, run=True, with_output=False)

    def compile(self) -> None:
        """Leave the program `main` in the folder, to be run later, and often: it reads no clock between its steps."""
        from brian2 import device
        from brian2.codegen.cpp_prefs import get_compiler_and_args

        with _said_plainly():
            device.build(directory=self.folder, compile=False, run=False)
            source = Path(self.folder, "network.cpp")
            source.write_text(without_clock(source.read_text("utf-8")), "utf-8")
            device.compile_source(self.folder, get_compiler_and_args()[0], debug=False, clean=False)


def without_clock(source: str) -> str:
    """Brian2's loop over the steps, the processor's time read after it and not after every step.

    That is a call of the kernel, which takes as long as three steps of a small model; the time is not used. A loop that
    Brian2 writes in other words stays as it is: slower, not wrong.
    """
    if not (TIMING in source and AFTER_THE_LOOP in source):
        return source
    return source.replace(TIMING, "").replace(AFTER_THE_LOOP, TIMING + AFTER_THE_LOOP)


@contextlib.contextmanager
def _said_plainly() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise ResourceError(f"backend cpp: compiling or running failed ({error}); is a C++ compiler installed? "
                            "Use --backend numpy otherwise") from error


@contextlib.contextmanager
def opened(name: str, seed: int, folder: str | None = None) -> Iterator[Runtime | Standalone]:
    """The backend `name`, seeded. Everything that touches Brian2's arrays must happen inside.

    folder: for cpp, where the program stays; by default it is removed.
    """
    import brian2

    target = "auto" if name == "cpp" else name
    with (random_states(), plain_preferences(**{"codegen.target": target}),
          _standalone(folder) if name == "cpp" else _runtime() as backend):
        brian2.seed(seed)
        yield backend


@contextlib.contextmanager
def _runtime() -> Iterator[Runtime]:
    from brian2.devices.device import runtime_device

    with device_of_our_own(runtime_device):
        yield Runtime()


@contextlib.contextmanager
def _standalone(folder: str | None) -> Iterator[Standalone]:
    from brian2.devices.cpp_standalone.device import CPPStandaloneDevice

    device = CPPStandaloneDevice()  # a new one: a script's own may hold what it has begun
    own = tempfile.TemporaryDirectory(prefix="astro_sim_") if folder is None else contextlib.nullcontext(folder)
    with own as place, device_of_our_own(device):
        device.activate(build_on_run=False)
        try:
            yield Standalone(place)
        finally:
            device.reinit()
