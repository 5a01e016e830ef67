"""What figures are drawn from: the record, the simulations behind it, a training run; each made when asked for."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from astro_sim.recording.recording import Recording
from derivation.proof import uncertainty
from derivation.record.ensemble import Ensemble, load, path_beside
from derivation.record.record import Record
from derivation.simulation import simulations
from foundation.errors import DamagedFileError, UserError

DRAWS = 20  # of a record that brings none


@dataclass(frozen=True)
class Sources:
    """`record` is drawn beside simulations made anew; `run` is a training run's folder, for figures of training."""

    record: Record
    run: Path | None = None

    @cached_property
    def cycle_seconds(self) -> float:
        return self._reduced("tau_cycle")

    @cached_property
    def cycles(self) -> Recording:
        return simulations.driven_cycles(self.cycle_seconds, self._reduced("gamma_l"))

    def _reduced(self, name: str) -> float:
        for use in self.record.entry("retention").parameters:
            if use.name == name:
                return use.value
        raise DamagedFileError(f"record {self.record.hash[:12]}: entry 'retention' has no parameter {name}, with which "
                               "its cycles are simulated; derive it anew: python -m derivation derive")

    @cached_property
    def ensemble(self) -> Ensemble:
        """The committed draws where they are of this record; else a few made now."""
        path = path_beside(None)
        if path.exists() and (found := load(path)).belongs_to(self.record):
            return found
        return uncertainty.draw_records(self.record, draws=DRAWS, seed=0)

    @cached_property
    def lines(self) -> dict[str, Recording]:
        return {coupling: simulations.driven_line(coupling) for coupling in ("dense", "diffusive")}

    @cached_property
    def layouts(self) -> dict[str, Recording]:
        return {layout: simulations.driven_layout(layout) for layout in ("equal", "grid")}

    def need_run(self) -> Path:
        if self.run is None:
            raise UserError("this figure shows a training run; name its folder with --run DIR")
        return self.run
