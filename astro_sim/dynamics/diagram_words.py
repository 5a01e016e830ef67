"""A bifurcation diagram in words and as a table."""

import math
from typing import TYPE_CHECKING

from astro_sim.recording.labels import label, pretty_unit, with_unit
from foundation.table import Table

if TYPE_CHECKING:
    from astro_sim.dynamics.diagram import Diagram

ENDS = {"low": "the low end", "high": "the high end", "closed": "a closed loop", "box": "the end of the box",
        "long": "where it is too long to go on", "lost": "where Newton's method fails"}
WORDS = {"hopf": "Hopf points", "fold": "folds", "crossing": "crossings of branches"}
SINGLE = {"hopf": "Hopf point", "fold": "fold", "crossing": "crossing of branches"}


def count(number: int, word: str) -> str:
    """"1 branch", "2 branches", "no fold" is "0 folds"."""
    return f"{number} {word}" if number == 1 else f"{number} {word}{'es' if word.endswith('ch') else 's'}"


def text(diagram: "Diagram") -> str:
    """The diagram in words, and what was followed and what was not."""
    over, unit = diagram.input, diagram.units[diagram.input]
    stable = sum(row["stable"] for row in diagram.equilibria)
    return "\n".join([
        f"{diagram.model}:{diagram.parameter_set} over {label(over, unit)}: {len(diagram.equilibria)} equilibria, "
        f"{stable} stable, on {count(len(diagram.branches), 'branch')}",
        *(_branch_text(row) for row in diagram.branches),
        *(f"  {words}: {_special_text(diagram, what)}" for what, words in WORDS.items()
          if what != "crossing" or any(row["what"] == what for row in diagram.special)),
        *(f"  stable side by side, {row['between']}: {_number(row['low'])} to {_number(row['high'])} "
          f"{pretty_unit(unit)}".rstrip()
          for row in diagram.bistable),
        *_oscillation_text(diagram), *_unstable_text(diagram), *_searched_text(diagram)])


def table(diagram: "Diagram") -> Table:
    """What happens, at which value, and more about it; states at points in their units."""
    rows: list[tuple] = []
    states = [name for name in diagram.units if name != diagram.input]
    for row in diagram.special:
        at = ", ".join(f"{name} {with_unit(row[name], diagram.units[name])}" for name in states)
        more = f"; {row['kind']}, period {with_unit(2 * math.pi / row['frequency'], 'second')}" if "kind" in row else ""
        rows.append((SINGLE[row["what"]], f"{row['input']:.7g}", at + more))
    for value in diagram.oscillation_folds:
        rows.append(("fold of oscillations", f"{value:.7g}", "a stable and an unstable one meet"))
    for row in diagram.bistable:
        rows.append(("two stable states", f"{row['low']:.7g} to {row['high']:.7g}", row["between"]))
    if diagram.oscillations:
        first, last, low, high, periods = _range_of_oscillations(diagram)
        unit = diagram.units[diagram.variable]
        rows.append(("stable oscillations", f"{first:.4g} to {last:.4g}", f"{diagram.variable} {low:.4g} to "
                     f"{with_unit(high, unit)}, period {periods[0]:.4g} to {with_unit(periods[1], 'second')}"))
    scanned = label(diagram.long_names.get(diagram.input, diagram.input), diagram.units[diagram.input])
    return Table(("what", scanned, "there"), rows,
                 title=f"{diagram.model}:{diagram.parameter_set} over {diagram.input}",
                 note=f"{count(len(diagram.branches), 'branch')} of equilibria; print(diagram) says what was searched")


def _number(value: float) -> str:
    return f"{value:.6f}" if abs(value) > 0.01 else f"{value:.6g}"


def _branch_text(row: dict) -> str:
    course = ENDS["closed"] if row["begins"] == "closed" else f"{ENDS[row['begins']]} to {ENDS[row['ends']]}"
    return f"  branch {row['branch']}: {course} ({row['from']:.4g} to {row['to']:.4g}), {row['points']} points"


def _special_text(diagram: "Diagram", what: str) -> str:
    """Each point with its input and, where there are several branches, its branch; a Hopf point with what is born."""
    parts = []
    for row in diagram.special:
        if row["what"] == what:
            notes = [f"{row['kind']}, period {2 * math.pi / row['frequency']:.4g} s"] if what == "hopf" else []
            notes += [f"branch {row['branch']}"] if len(diagram.branches) > 1 else []
            parts.append(_number(row["input"]) + (f" ({', '.join(notes)})" if notes else ""))
    return ", ".join(parts) or "none"


def _range_of_oscillations(diagram: "Diagram") -> tuple:
    """First and last input, lowest and highest value, (shortest, longest) period."""
    rows = diagram.oscillations
    periods = [row["period"] for row in rows]
    return (rows[0]["input"], rows[-1]["input"], min(row["low"] for row in rows), max(row["high"] for row in rows),
            (min(periods), max(periods)))


def _oscillation_text(diagram: "Diagram") -> list[str]:
    if not diagram.oscillations:
        return []
    first, last, low, high, periods = _range_of_oscillations(diagram)
    lines = [f"  oscillations of {diagram.variable} from {first:.4g} to "
             f"{with_unit(last, diagram.units[diagram.input])}: {low:.4g} to "
             f"{with_unit(high, diagram.units[diagram.variable])}, period {periods[0]:.4g} to {periods[1]:.4g} s"]
    if len(diagram.oscillations) > 1 and first > 0:
        found = diagram.encoding()
        lines.append(f"  encoding: {found.word} (index {found.index:.2f}; depth of amplitude {found.depth_am:.2f}, of "
                     f"frequency {found.depth_fm:.2f})")
    return lines


def _unstable_text(diagram: "Diagram") -> list[str]:
    """A line for each subcritical Hopf point whose oscillations were followed."""
    lines = []
    for born in dict.fromkeys(row["born"] for row in diagram.unstable_oscillations):
        rows = [row for row in diagram.unstable_oscillations if row["born"] == born]
        end = rows[-1]["input"]
        ends = "a fold with stable ones" if end in diagram.oscillation_folds else "as far as they were followed"
        lines.append(f"  unstable oscillations from the Hopf point at {_number(born)} to {_number(end)}, {ends}")
    return lines


def _searched_text(diagram: "Diagram") -> list[str]:
    searched, units = diagram.searched, diagram.units
    if not searched:  # a diagram of an older version
        return []
    box = ", ".join(f"{name} {low:.3g} to {with_unit(high, units[name], 3)}"
                    for name, (low, high) in searched["box"].items())
    lines = [f"  followed: every equilibrium that Newton's method finds from {searched['starts']} places at each of "
             f"{searched['inputs']} inputs, in {box}"]
    for word, said in (("inwards", "at both ends of the range of {} the flow points inwards"),
                       ("start", "no bound of {} is declared: its range is about where it starts{}"),
                       ("guessed", "no bound of {} is declared, and its flow shows none: its range is about what a "
                                   "course visits{}")):
        names = [name for name, why in searched["why"].items() if why == word]
        if names:
            low, high = searched["box"][names[0]]
            shown = f"{names[0]}={low:.3g}:{high:.3g} {units[names[0]]}".removesuffix(" 1")
            lines.append("  " + said.format(", ".join(names), f"; another by box=, or --box {shown!r}"))
    return [*lines, "  not followed: unstable oscillations that no subcritical Hopf point here gives birth to; "
                    "equilibria outside that box; branches that begin and end between two of the inputs"]
