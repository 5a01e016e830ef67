"""What a training step costs under each gradient algorithm: peak bytes against the number of segments, and time."""

from figures import style
from figures.results import SPEED, facts, table
from figures.sources import Sources

LOOKS = {"bptt": (style.RED, "o", "BPTT"), "bptt pruned": (style.ORANGE, "s", "BPTT, pruned"),
         "checkpointed": (style.SKY, "^", "torch.utils.checkpoint"),
         "amrb not pruned": (style.GREEN, "v", "AMRB, not pruned"), "amrb": (style.BLUE, "D", "AMRB")}
TIMES = {"time over BPTT, plain": "AMRB, not pruned, over BPTT",
         "the same, keep_last = 3": "the same, 3 graphs kept",
         "time over BPTT, pruned, 2 layers": "AMRB over BPTT not pruned",
         "time over torch.utils.checkpoint, segments of 128": "AMRB over torch.utils.checkpoint"}

MIB = (10, 20, 50, 100, 200, 400)


def draw(sources: Sources):
    figure, (memory, time) = style.subplots(1, 2, width=10.0, height=4.2)
    peaks = table(SPEED, "Peak bytes of a training step")
    for name, (colour, marker, label) in LOOKS.items():
        size = 9 if name == "checkpointed" else 5  # it lies under AMRB's
        memory.plot([row["T"] for row in peaks], [row[name] / 2**20 for row in peaks], marker=marker, ms=size,
                    mfc="none", color=colour, lw=1.5, label=label)
    counts = [int(row["T"]) for row in peaks]
    memory.set(xlabel="number of segments T", ylabel="peak of a training step (MiB)", xscale="log", yscale="log",
               title="Memory: AMRB holds one segment's activations")
    memory.set_xticks(counts, map(str, counts), minor=False)
    memory.set_yticks(MIB, map(str, MIB), minor=False)
    memory.minorticks_off()
    memory.legend(fontsize=8)
    _times(time)
    made = facts(SPEED)
    figure.suptitle(f"{made['device']}, {made['threads']} thread, width {made['width']}, {made['layers']} layers, "
                    f"segments of 128, batch {made['batch']}; {made['date']}", fontsize=8.5)
    return figure


def _times(axis) -> None:
    """Ratios as points; a bar is the middle half of the turns of a measurement."""
    rows = {row["what"]: row for row in table(SPEED, "Time of a training step")}
    for place, start in enumerate(TIMES):
        row = next(row for what, row in rows.items() if what.startswith(start))
        low, high = (float(part) for part in row["middle half of turns"].split(" to "))
        axis.plot([low, high], [place, place], color=style.BLUE, lw=5, alpha=0.35, solid_capstyle="butt",
                  label="middle half of the turns" if place == 0 else None)
        axis.plot(row["ratio"], place, "D", color=style.BLUE, ms=6, label="median" if place == 0 else None)
        axis.annotate(f"{row['ratio']:.2f}", (row["ratio"], place), (0, 9), textcoords="offset points", ha="center",
                      fontsize=8)
    axis.axvline(1, color="0.5", lw=1, ls="--")
    axis.set_yticks(range(len(TIMES)), TIMES.values(), fontsize=8.5)
    axis.set(xlabel="time of a step, AMRB over the other", ylim=(len(TIMES) - 0.5, -0.7), xlim=(0, None),
             title="Time: T = 8; left of the line AMRB is faster")
    axis.legend(loc="upper left", fontsize=8)
