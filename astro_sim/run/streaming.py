"""Long runs written to disk in pieces: memory stays flat, the file is the one that the whole run in memory would give.

    path = simulate_to_file("runs/long.nc", "li_rinzel", duration="1e5 s", dt="10 ms")

Brian2 runs once; at the end of every piece its monitors are emptied into the file (backends numpy and cython). What
only the whole run can tell is checked on the file afterwards, and the checks look across the borders of blocks.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_sim.model import Model
from astro_sim.plan import Plan, prepare
from astro_sim.protocols import Protocol
from astro_sim.recording.collect import Columns, columns, events_of, happened, labelled, recorded, stopped_at
from astro_sim.recording.disk import Writing
from astro_sim.recording.frames import event_columns
from astro_sim.recording.netcdf import add
from astro_sim.recording.recording import Recording
from astro_sim.run.checks import Extent, find_problem, is_broken
from astro_sim.run.estimate import NUMBER, PIECE, estimate, recorded_elements, records, refuse_if_too_large
from astro_sim.run.ode.outcome import records as solved_records
from astro_sim.run.ode.run import gave_up, ticking
from astro_sim.run.ode.solve import GaveUpError
from astro_sim.run.report import summary
from astro_sim.run.simulation import Interrupted, ran, too_large_a_step
from foundation import stopping
from foundation.errors import UserError
from foundation.files import replacing
from foundation.shapes import Array, Float

if TYPE_CHECKING:
    import h5py

    from astro_sim.brian.network import Built

STORED_TOGETHER = 1 << 17  # numbers of a variable that lie together in the file


def simulate_to_file(path: str | os.PathLike, model: str | Model, protocol: Protocol = None, **settings: Any) -> Path:
    """`simulate`, but into the NetCDF file `path`, in pieces; returns the path.

    Errors: as `simulate`; `UserError` for the backend cpp, which holds everything until it ends. On Ctrl-C
    `simulate.Interrupted`, whose `kept` is the path of a partial recording beside `path`.
    """
    run_to_file(prepare(model, protocol, **settings), path)
    return Path(path)


def partial_path(path: str | os.PathLike) -> Path:
    """Where a run that was stopped is kept: calcium.nc -> calcium.partial.nc."""
    path = Path(path)
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def run_to_file(plan: Plan, path: str | os.PathLike, *, progress: bool = False, piece: int = PIECE,
                memory_limit: int | None = None, disk_limit: int | None = None) -> dict:
    """Run a checked plan into `path`, which is there only when it is whole; returns `report.summary` of it.

    piece: bytes of records that are in memory at a time; limits: bytes, instead of what is free.
    """
    if plan.backend == "cpp":
        raise UserError("backend cpp: cannot write in pieces, it holds everything until it ends; use numpy or cython")
    path = Path(path)
    if path.is_dir():
        raise UserError(f"out: {path} is a folder; name a file such as {path / 'recording.nc'}")
    needed = estimate(plan, streamed=True)
    refuse_if_too_large(plan, needed, path.parent, memory_limit=memory_limit,
                        disk_limit=disk_limit)
    with replacing(path, needs=needed.disk) as temporary:
        # no more than there are: Brian2 runs no step where a clock's step is longer than the run
        rows = min(records(plan), max(1, piece // (max(1, recorded_elements(plan)) * NUMBER)))
        sink = Sink(plan, temporary, rows)
        try:
            whole, given_up = _solved(plan, sink, progress) if plan.adaptive else (_stepped(plan, sink, progress), None)
            problem = find_problem(plan, whole, sink.extents)
            if problem:
                raise too_large_a_step(plan, problem)
            if given_up:
                raise given_up
            given = summary(whole, path, sink.extents)
            sink.seal()
        except Exception:
            sink.check()  # what went wrong follows from what could not be written
            raise
        finally:
            sink.close()
        if whole.partial:
            with replacing(partial_path(path)) as kept:
                os.replace(temporary, kept)
            raise Interrupted(partial_path(path), given["last_time_s"])
    return given


def _stepped(plan: Plan, sink: "Sink", progress: bool) -> Recording:
    """Run by Brian2 into the sink."""
    with ran(plan, progress, sink.attach) as (built, stopped):
        sink.drain(built)
        return sink.finish(built.events, partial=stopped)


def _solved(plan: Plan, sink: "Sink", progress: bool) -> tuple[Recording, UserError | None]:
    """Solve into the sink; why the solver gave up, if it did."""
    stopped, problem = False, None
    with ticking(plan, progress) as tick:
        try:
            for raw in solved_records(plan, tick):
                with stopping.StopRequest() as stop:  # a piece is written whole, all its variables
                    sink.take(raw)
                if stop.asked:
                    raise KeyboardInterrupt
                if sink.broken:
                    break
        except KeyboardInterrupt:
            stopped = True
            if sink.file is None or sink.halfway:
                raise
        except GaveUpError as why:
            problem = gave_up(plan, why)
            if sink.file is None:
                raise problem from why
    return sink.finish({}, partial=stopped or sink.broken or problem is not None), problem


class Sink:
    """Empties Brian2's monitors into a file, `rows` records at a time."""

    def __init__(self, plan: Plan, path: Path, rows: int):
        self.plan, self.path, self.rows = plan, path, rows
        self.extents: dict[str, Extent] = {}
        self.writing = self.first = None
        self.halfway = False  # a piece is being written, and not all variables have it
        self.broken = False  # no need to run on: the result cannot be right

    def attach(self, built: "Built") -> None:
        """Empty the monitors during the run, after the step in which a piece has become full."""
        import brian2

        def empty() -> None:
            self.drain(built)
            if self.broken:
                built.network.stop()

        every = self.rows * self.plan.every * self.plan.dt * brian2.second
        built.network.add(brian2.NetworkOperation(empty, dt=every, when="end", order=1000, name="empty_monitors"))

    def drain(self, built: "Built") -> None:
        """Append what the monitors hold, and empty them."""
        self.take({name: columns(monitor) for name, monitor in built.monitors.items()})
        for monitor in built.monitors.values():
            monitor.resize(0)

    def take(self, raw: Mapping[str, Columns]) -> None:
        """Append columns by population."""
        time = next(iter(raw.values())).time
        if len(time) == 0:
            return
        self.halfway = True
        values = {name: found for population, given in raw.items()
                  for name, found in labelled(self.plan, population, given).items()}
        for name, found in values.items():
            extent = self.extents.setdefault(name, Extent())
            extent.add(found)
            self.broken |= is_broken(self.plan, name, extent)
        if self.file is None:
            self._open(recorded(self.plan, raw))
        else:
            self._append("time", time)
            for name, found in values.items():
                self._append(name, found)
        self.halfway = False

    def _open(self, piece: Recording) -> None:
        """Write the first piece with labels and places, then keep the file open for the rest."""
        self.first, self.writing = piece, Writing(self.path)
        layout = {name: (max(1, STORED_TOGETHER // series.values.shape[1]), series.values.shape[1])
                  for name, series in piece.variables.items()}
        add(self.file, piece.to_xarray(), chunks={**layout, "time": (STORED_TOGETHER,)})
        self.writing.check()

    @property
    def file(self) -> "h5py.File | None":
        """The file, once the first piece is in it."""
        return self.writing and self.writing.file

    def _append(self, name: str, values: Float[Array, "..."]) -> None:
        data = self.file[name]
        start = data.shape[0]
        data.resize(start + len(values), axis=0)
        data[start:] = values
        self.writing.check()

    def finish(self, event_monitors: Mapping[str, Any], *, partial: bool) -> Recording:
        """Write events and attributes; the whole recording, its numbers in the file, which is open until `close`."""
        import xarray as xr

        last = float(self.file["time"][-1])
        events = {name: events_of(self.plan, name, happened(monitor), last=last)
                  for name, monitor in event_monitors.items()}
        if events:
            add(self.file, xr.Dataset(event_columns(events)))
        whole = Recording(self.file["time"], {name: replace(series, values=self.file[name], time=None)
                                              for name, series in self.first.variables.items()},
                          self.plan.meta() | (stopped_at(last) if partial else {}), events, self.first.maps)
        for name, text in whole.attributes.items():
            self.file.attrs[name] = text
        self.file.flush()
        self.writing.check()
        return whole

    def check(self) -> None:
        """Raises the `OSError` of a write that failed."""
        if self.writing is not None:
            self.writing.check()

    def seal(self) -> None:
        """Close the file and put its hash behind it."""
        self.writing.seal()

    def close(self) -> None:
        """Close the file, if one is open."""
        if self.writing is not None:
            self.writing.close()
