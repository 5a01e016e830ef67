"""What the demo found, judged: checks made of plain numbers, and the one screen that tells them."""

import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from derivation.record.record import Entry, Record

WIDTH, INDENT = 100, "      "
STEP = "gradient and memory of a training step"
AGREES = 1e-3  # of the value: a form and its recording agree; above it the record must say what the form neglects
REPEATS = 1e-6  # of the value: derived anew, a number is the committed one to what processors differ by
SOLVED, CHANCE = 0.99, 0.15  # of `recall`; its chance is 0.10, with a standard deviation of 0.007 over 2,000 samples
FLAT, SMALLER = 1.05, 5.0  # AMRB's peak over that of one segment; BPTT's peak over AMRB's at the longest
_CHAIN = re.compile(r"\s*(<- \S|parameter |\w+ = |d const: )")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: its value as text, whether it holds, and what that means in a sentence."""

    group: str
    what: str
    value: str
    ok: bool
    means: str


def oscillation(low: float, high: float, period: float, *, committed: float) -> Check:
    """Calcium of one astrocyte (µM) and its period (s) beside the committed record's tau_cycle."""
    return Check("simulated", "calcium oscillates", f"{low:.4f} to {high:.4f} µM, period {period:.3f} s",
                 high > 2 * low and math.isclose(period, committed, rel_tol=REPEATS),
                 "one period is one cycle of the network: the astrocyte's clock")


def record(derived: Record, committed: Record, differences: Sequence[str]) -> Iterator[Check]:
    """The record as a whole, then every constant that a recording was fitted for, beside its closed form."""
    numbers = sum(len(entry.constants) for entry in derived.entries.values())
    equal = f"equal to the committed record {committed.hash[:12]}"
    equal += "" if derived.hash == committed.hash else " to rounding"  # then the new one has a hash of its own
    yield Check("simulated", "the record, derived anew", f"{numbers} constants in {len(derived.entries)} entries",
                not differences, equal if not differences else
                "differs from the committed record: " + "; ".join(differences[:3]))
    for name, entry in derived.entries.items():
        for key, constant in entry.constants.items():
            if constant.fitted is not None:
                yield _form(f"{name}.{key}", entry, key, committed=committed.entries.get(name))


def _form(name: str, entry: Entry, key: str, *, committed: Entry | None) -> Check:
    """Closed form beside recording: they agree, or differ by what the form says that it neglects, as before."""
    one, before = entry.constants[key], committed and committed.constants.get(key)
    gap = abs(one.fitted / one.value - 1)
    pairs = ((one.value, before.value), (one.fitted, before.fitted)) if before and before.fitted is not None else ()
    repeats = bool(pairs) and all(math.isclose(*pair, rel_tol=REPEATS) for pair in pairs)
    neglected = entry.evidence.neglected.partition(":")[0] if entry.evidence else ""
    means = "form and recording agree" if gap <= AGREES else (
        f"{gap:.0%} apart, and that is fine: the form neglects {neglected}" if neglected else
        f"{gap:.0%} apart, and nothing says why")
    return Check("closed form beside recording", name, f"{one.value:.6f} beside {one.fitted:.6f}",
                 repeats and (gap <= AGREES or bool(neglected)), means if repeats else "not what the record has")


RECALL = {
    "model": ("with its memory", True, "a symbol of segment 1 is told after segment 8: the memory carries it"),
    "model, memory reset": ("the same weights, memory reset", False, "without the memory: chance, as it must be"),
    "trained with memory reset": ("trained with the memory reset", False, "nothing else can carry the symbol"),
}


def recall(rows: Sequence[Mapping]) -> Iterator[Check]:
    """Accuracy on `recall`, and the two controls that must stay at chance."""
    accuracy = {row["name"]: row["accuracy"] for row in rows}
    for name, (what, solves, means) in RECALL.items():
        found = accuracy.get(name, math.nan)
        yield Check("trained on recall, 8 segments: accuracy on the test split", what, f"{found:.2%}",
                    found >= SOLVED if solves else found <= CHANCE, means)


def listops(steps: int, loss: float) -> Check:
    """A few steps of a harder task: that the loss is a number is all that they can show."""
    return Check("trained a little on ListOps", f"loss after {steps} steps", f"{loss:.3f}", math.isfinite(loss),
                 "the chain runs on sequences of 2,000 tokens; so few steps learn nothing yet")


def gradients(equal: bool) -> Check:
    """Whether AMRB's gradient is that of BPTT to 1e-12, in float64 and with dropout."""
    return Check(STEP, "gradient of AMRB and of BPTT", f"{'equal' if equal else 'NOT equal'} to 1e-12", equal,
                 "AMRB saves memory and changes nothing else" if equal else "nothing that AMRB trains can be trusted")


def memory(peaks: Mapping[int, Mapping[str, int]]) -> Iterator[Check]:
    """Peak bytes of a training step: AMRB's stays, BPTT's grows with the number of segments."""
    first, last = min(peaks), max(peaks)
    mega = {t: {name: value / 2**20 for name, value in row.items()} for t, row in peaks.items()}
    growth, ratio = peaks[last]["amrb"] / peaks[first]["amrb"], peaks[last]["bptt"] / peaks[last]["amrb"]
    yield Check(STEP, f"AMRB's peak, {first} to {last} segments",
                f"{mega[first]['amrb']:.2f} to {mega[last]['amrb']:.2f} MiB", growth <= FLAT,
                f"{growth - 1:+.1%}: it does not grow with the sequence")
    yield Check(STEP, f"BPTT's peak, {first} to {last} segments",
                f"{mega[first]['bptt']:.2f} to {mega[last]['bptt']:.2f} MiB", ratio >= SMALLER,
                f"{ratio:.1f} times AMRB's at {last} segments")


def origins(count: int, orphans: Sequence[str]) -> Check:
    """Numbers of the network that are not learned, and those among them that nothing stands behind."""
    return Check("traced", "numbers that are not learned", f"{count}, {len(orphans)} without origin", not orphans,
                 "each leads to a paper or to a stated reason" if not orphans else ", ".join(orphans[:3]))


def screen(checks: Sequence[Check], seconds: float) -> list[str]:
    """The verdict, then the checks by group; no line is wider than 100 columns."""
    width = max(len(check.what) for check in checks)
    lines, group = [verdict(checks, seconds)], None
    for check in checks:
        if check.group != group:
            group = check.group
            lines += ["", group]
        head = f"  {'✓' if check.ok else '✗'} {check.what:{width}}  {check.value}"
        if len(head) + 3 + len(check.means) <= WIDTH:
            lines.append(f"{head}   {check.means}")
        else:
            lines += [*textwrap.wrap(head, WIDTH, subsequent_indent=INDENT, drop_whitespace=False),
                      *textwrap.wrap(check.means, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)]
    return lines


def verdict(checks: Sequence[Check], seconds: float) -> str:
    """Did it work? One line."""
    failed = [check.what for check in checks if not check.ok]
    if not failed:
        return f"It worked: all {len(checks)} checks hold, in {seconds:.0f} s."
    text = f"It did NOT work: {len(failed)} of {len(checks)} checks failed: {'; '.join(failed)}"
    return textwrap.shorten(text, WIDTH, placeholder=" ...")


def chain(lines: Sequence[str]) -> list[str]:
    """Of a trace's lines: the tensor, its form, its constants, and what these rest on directly, each to its end."""
    kept: list[str] = []
    goes_on = "\0"  # what begins a line that goes on with the one before
    for line in lines:
        if not kept or _CHAIN.match(line):
            kept.append(line)
            goes_on = " " * (len(line) - len(line.lstrip()) + 4)
        elif line.startswith(goes_on) and line[len(goes_on):len(goes_on) + 1].strip():
            kept.append(line)
        else:
            goes_on = "\0"
    return kept


def closing(lines: Sequence[str]) -> list[str]:
    """Sentences of the demo's end as lines of at most 100 columns; names of files stay whole."""
    return [part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent=INDENT,
                                                            break_long_words=False, break_on_hyphens=False)]
