"""The record's entries as text for a reader: formula as text and LaTeX, numbers, sources, rivals."""

from collections.abc import Iterator

from derivation.record.record import Comparison, Constant, Entry, Evidence, Range, Scale, in_order


def describe(name: str, entry: Entry) -> list[str]:
    """An entry as lines of text."""
    return list(_lines(name, entry))


def latex(formula: str, left: str = "") -> str:
    """A formula of the record in LaTeX, after `left =` where that is given."""
    import sympy

    from derivation.forms.ode import parse

    text = sympy.latex(parse(formula))
    return f"{sympy.latex(sympy.Symbol(left))} = {text}" if left else text


def _lines(name: str, entry: Entry) -> Iterator[str]:
    yield f"{name}  ({entry.equation}, {entry.basis})  {entry.meaning}"
    yield f"  = {entry.formula}"
    yield f"  LaTeX: {latex(entry.formula)}"
    yield from (f"    {key}: {text}" for key, text in entry.arguments.items())
    for key, constant in entry.constants.items():
        yield from _constant(key, constant)
    for use in in_order(entry.parameters):
        slopes = ", ".join(f"d{key}/d{use.name} = {slope:.4g}{_per(use.unit)}"
                           for key, slope in use.sensitivity.items())
        lead = "       <- " if use.through else "    <- "
        value = f"{use.value:g} {use.unit}".removesuffix(" 1")
        yield f"{lead}{use.name} = {value}  {use.basis}, {use.source} ({use.model})  {slopes}"
        yield f"{' ' * len(lead)}{use.meaning}"
    yield from (f"    .. {key}: {why}" for key, why in entry.cancels.items())
    yield from map(_range, entry.validity)
    yield from map(_scale, entry.scales)
    if entry.evidence:
        yield from _evidence(entry.evidence)
    for key, one in entry.comparisons.items():
        yield from _comparison(key, one)
    for key, other in entry.alternatives.items():
        values = ", ".join(f"{which} = {value:.6g}" for which, value in other.values.items())
        yield f"  alternative {key}: {other.formula}  {values}".rstrip()
        yield f"    {other.meaning}; {other.basis}, {', '.join(other.sources)}"
    for one in entry.simulations:
        yield (f"  simulation '{one.name}': model {one.model[:12]}, protocol {one.protocol[:12]}, "
               f"solver {one.solver[:12]}")
    yield f"  sources: {', '.join(entry.sources)}"


def _per(unit: str) -> str:
    """The unit of a slope: a constant is a pure number."""
    if unit == "1":
        return ""
    return f" per {unit}" if "/" not in unit else f" per ({unit})"


def _constant(key: str, constant: Constant) -> Iterator[str]:
    yield f"  {key} = {constant.value:.6g}  {constant.meaning}"
    if constant.formula:
        yield f"    = {constant.formula}"
        yield f"    LaTeX: {latex(constant.formula, key)}"
    if constant.fitted is not None:
        low, high = constant.interval or (None, None)
        width = f" +- {(high - low) / 2:.1g} (95 %)" if constant.interval else " (no interval: see below)"
        off = constant.value - constant.fitted
        share = f"{100 * off / constant.fitted:+.2g} %" if constant.fitted else f"{off:+.2g}"
        yield f"    fitted to the recording: {constant.fitted:.6g}{width}; the closed form is off by {share}"


def _range(one: Range) -> str:
    low = "" if one.low is None else f"{one.low:g} <= "
    high = "" if one.high is None else f" <= {one.high:g}"
    return f"  holds while {low}{one.quantity}{high}: {one.reason}"


def _scale(one: Scale) -> str:
    size = f"{one.value:.6g} {one.unit}" if one.unit != "1" else f"{one.value:.6g}"
    unit = "" if one.unit == "1" else f" in {one.unit}"
    return f"  scale: {one.quantity}{unit}, divided by {size}: {one.meaning}"


def _evidence(seen: Evidence) -> Iterator[str]:
    unit = "" if seen.error_unit == "1" else f" {seen.error_unit}"
    rms = "" if seen.rms_error is None else f", root mean square {seen.rms_error:.2g}{unit}"
    yield f"  held against {seen.compared}: largest deviation {seen.max_error:.2g}{unit}{rms}"
    yield f"    range: {seen.range}; neglected: {seen.neglected or 'nothing'}"
    yield from (f"    warning: {text}" for text in seen.warnings)


def _comparison(key: str, one: Comparison) -> Iterator[str]:
    yield f"  rivals ({key}): {one.data}, {one.points} points"
    for name, rival in sorted(one.rivals.items(), key=lambda item: item[1].aicc):
        values = ", ".join(f"{which} = {value:.4g}" for which, value in rival.values.items())
        mark = "*" if name == one.chosen else " "
        yield (f"    {mark} {name:22} weight {rival.weight:8.2g}  AICc {rival.aicc:9.4g}  "
               f"off by at most {rival.max_error:.2g}  {values}")
    yield f"    lost: {one.loss}"
    yield from (f"    warning: {text}" for text in one.warnings)
