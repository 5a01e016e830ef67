"""Short- and long-term processes over the driven cycles: STP follows each cycle, LTP accumulates and saturates."""

from derivation.simulation.simulations import NUM_CYCLES
from figures import style
from figures.sources import Sources


def draw(sources: Sources):
    recording, period = sources.cycles, sources.cycle_seconds
    q = sources.record.entry("retention").constants["q"].value
    figure, (short, long) = style.subplots(2, 1, height=5.2, sharex=True)
    for axis in (short, long):
        for n in range(NUM_CYCLES):
            axis.axvspan(n * period, (n + 0.5) * period, color="0.88", lw=0, label="drive on" if n == 0 else None)
    single, *_ = short.plot(recording.time, recording["p_s"].values, color=style.SKY, lw=0.7)
    single.set_label("single processes")
    short.plot(recording.time, recording["p_s"].values.mean(1), color=style.BLUE, label="mean of nine processes")
    short.set(ylabel="short-term state p_s", title="STP: rises and falls with every cycle")
    short.set_ylim(0, 1.35 * recording["p_s"].values.max())
    short.legend(loc="upper right", ncols=3, fontsize=9)
    p_l = recording["p_l"].values
    single, *_ = long.plot(recording.time, p_l, color=style.ORANGE, lw=0.7)
    single.set_label("single processes")
    long.plot(recording.time, p_l.mean(1), color=style.RED, label="mean of nine processes")
    capacity = p_l[-1].mean() / (1 - q**NUM_CYCLES)
    ends = range(NUM_CYCLES + 1)
    long.plot([n * period for n in ends], [capacity * (1 - q**n) for n in ends], "o", ms=5, color=style.BLACK,
              label="closed form at the cycles' ends")
    long.axhline(capacity, color=style.BLACK, ls="--", lw=1, label="its limit: the capacity (at cycle ends)")
    long.set(xlabel="time (s)", ylabel="long-term state p_l", ylim=(0, 1.12 * capacity),
             title="LTP: accumulates over the cycles and saturates")
    long.legend(loc="lower right", fontsize=9)
    return figure
