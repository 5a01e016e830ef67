"""How far the biology is known: draws of records, from intervals, published parameter sets and what is assumed.

A draw takes, for each family of parameter sets (those that go together under one name, as DePitta2009's AM and FM), one
published set; every assumed parameter times a log-normal factor, as no paper says how far it may be off; and every
constant that was fitted to a recording a normal error with its 95 % interval. Fitted parameters of the papers keep
their values within a set: their errors are not published. A set that oscillates at other IP3 is driven in the same
place of its own range.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import numpy as np
from scipy.stats import norm

from astro_sim.dynamics import hopf_points
from astro_sim.dynamics.local import with_parameter
from astro_sim.models import MODELS
from astro_sim.parameter import Parameter, convert
from derivation.proof.recomputation import parameters, reduced, with_parameters
from derivation.proof.what_if import meaning
from derivation.record import record
from derivation.record.ensemble import Draw, Ensemble, changed, numbers_of
from derivation.record.record import ParameterUse, Record
from foundation.errors import DamagedFileError, UserError
from foundation.table import Table

ASSUMED_SPREAD = 0.1  # of the logarithm: assumed, as are the numbers that it is put on
TRIES = 50  # of one draw; those that end an oscillation are drawn again
WIDTH = 2 * norm.ppf(0.975)  # of a 95 % interval, in standard deviations
NEEDED = ("retention",)  # a set without a cycle or a decay is no record; other entries may stay as they are
CALCIUM, DRIVE = "li_rinzel", "ip3"  # the model that gives the cycle, and the assumed level at which it does
Changes = Mapping[str, float]


def published(source: Record) -> dict[str, dict[str, dict[str, float]]]:
    """Family -> set -> changes of the record's parameters: the other published sets of the models behind it.

    A family is named after the set that the record has; sets of the same name in several models go together. A number
    that two models share takes the set of the model that it is named after, where that has it.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    uses = parameters(source)
    for own, models in _families(uses).items():
        members = {use.name.rpartition(".")[2]: use for use in uses.values()
                   if use.model.partition(":")[2] == own and use.model.partition(":")[0] in models}
        for model in models:
            for name, table in MODELS[model].parameter_sets.items():
                if name != own:
                    found.setdefault(own, {}).setdefault(name, {}).update(_other(members, model, name, table=table))
    for own, others in found.items():
        found[own] = {name: changes | driven_alike(uses, own, changes) for name, changes in others.items() if changes}
    return {own: others for own, others in found.items() if others}


def _other(members: Mapping[str, ParameterUse], model: str, name: str,
           *, table: Mapping[str, Parameter]) -> Iterator[tuple[str, float]]:
    """The parameters of a family that a model's set has at other values, but for those whose own model has that set."""
    for short, use in members.items():
        owner = use.model.partition(":")[0]
        if short in table and (owner == model or name not in MODELS[owner].parameter_sets):
            value = convert(table[short].value, table[short].unit, use.unit, use.name)
            if value != use.value:
                yield use.name, value


def _families(uses: Mapping[str, ParameterUse]) -> dict[str, list[str]]:
    """Parameter set -> the models behind the record that have it. Of a model of a user's own no sets are known."""
    found: dict[str, list[str]] = {}
    for use in uses.values():
        model, _, own = use.model.partition(":")
        if own and model in MODELS and model not in found.setdefault(own, []):
            found[own].append(model)
    return found


def driven_alike(uses: Mapping[str, ParameterUse], own: str, changes: Changes) -> dict[str, float]:
    """The IP3 (umolar) at which calcium with `changes` is driven as set `own` is: at the same share of the way between
    the two Hopf points, where its oscillation is born and ends. Empty where calcium's parameters stay."""
    name = f"{CALCIUM}.{DRIVE}"
    moved = tuple(sorted((key.rpartition(".")[2], value) for key, value in changes.items()
                         if key.startswith(f"{CALCIUM}.")))
    if not moved or name not in uses:
        return {}
    (low, high), (other_low, other_high) = oscillating_range(own, ()), oscillating_range(own, moved)
    # (E4.17) I' = I'_1 + (I'_2 - I'_1) (I - I_1)/(I_2 - I_1)
    return {name: other_low + (other_high - other_low) * (uses[name].value - low) / (high - low)}


@cache
def oscillating_range(parameter_set: str, moved: tuple[tuple[str, float], ...]) -> tuple[float, float]:
    """The Hopf points of calcium (umolar of IP3), some parameters of a set at other values."""
    model = MODELS[CALCIUM]
    for name, value in moved:
        model = with_parameter(model, parameter_set, name, value=value)
    found = hopf_points(model, "ip3", low="0.1 umolar", high="1 umolar", parameter_set=parameter_set)
    if len(found) != 2:
        raise UserError(f"{CALCIUM}:{parameter_set}: calcium has {len(found)} Hopf points between 0.1 and 1 umolar of "
                        "IP3, and 2 are needed to drive another set in the same place; derive the record anew")
    return found[0], found[1]


def draw_records(source: Record | None = None, *, draws: int = 50, seed: int = 0,
                 assumed_spread: float = ASSUMED_SPREAD, report: Callable[[int], None] = lambda done: None) -> Ensemble:
    """`draws` records of the uncertainty of `source` (the committed one), and one for each published set alone.

    Draw n depends on `seed` and n alone; `assumed_spread` is the standard deviation of the logarithm of every assumed
    parameter. Raises `UserError` for draws that cannot be made.
    """
    source = record.load() if source is None else source
    rejected: dict[str, str] = {}
    sets, alone = {}, {}
    for family, others in published(source).items():
        sets[family] = {family: {}}
        for name, changes in others.items():
            try:
                after, kept = recomputed(source, changes)
                note = f"{family} replaced by {name}" + (f"; kept: {', '.join(kept)}" if kept else "")
                alone[name] = difference(source, after, note)
                sets[family][name] = changes
            except (UserError, DamagedFileError) as error:
                rejected[name] = str(error)
    assumed = [use for use in parameters(source).values() if use.basis == "assumed"]
    made, again = [], 0
    for number in range(draws):
        draw, tries = _draw(source, sets, assumed, spread=assumed_spread, seed=(seed, number))
        made.append(draw)
        again += tries
        report(number + 1)
    if again:
        rejected["draws"] = f"{again} of {draws + again} ended an oscillation or a decay, and were drawn again"
    return Ensemble(numbers_of(source), seed, float(assumed_spread), draws=tuple(made), published=alone,
                    rejected=rejected)


def recomputed(source: Record, changes: Changes) -> tuple[Record, list[str]]:
    """As `recompute`, and the entries that have no value there and keep theirs.

    Raises `UserError` where one of those is NEEDED.
    """
    entries, kept = {}, []
    for key, entry in source.entries.items():
        try:
            alone = dataclasses.replace(source, entries={key: entry})
            entries[key] = with_parameters(entry, {**reduced(alone, changes), **changes})
        except UserError:
            if key in NEEDED:
                raise
            entries[key] = entry
            kept.append(key)
    return record.make(entries, source.versions), kept


def _draw(source: Record, sets: Mapping[str, Mapping[str, Changes]], assumed: list[ParameterUse], *, spread: float,
          seed: tuple[int, int]) -> tuple[Draw, int]:
    """One draw, and how many were rejected before it."""
    random = np.random.default_rng(seed)
    for tries in range(TRIES):
        changes, names = {}, []
        for family in sorted(sets):
            name = sorted(sets[family])[random.integers(len(sets[family]))]
            names.append(name)
            changes |= sets[family][name]
        for use in assumed:
            # (E4.18) p' = p exp(spread z), z standard normal
            changes[use.name] = changes.get(use.name, use.value) * float(np.exp(spread * random.standard_normal()))
        try:
            after, kept = recomputed(source, changes)
            note = ", ".join(names) + (f"; kept: {', '.join(kept)}" if kept else "")
            return _with_noise(source, after, random, names=note), tries
        except (UserError, DamagedFileError):
            continue
    raise UserError(f"draw {seed[1]}: none of {TRIES} tries gives a record; lower --assumed-spread ({spread:g})")


def _with_noise(source: Record, after: Record, random: np.random.Generator, *, names: str) -> Draw:
    """The draw `after`, each fitted constant off by a normal error of its interval."""
    draw = difference(source, after, names)
    constants = {key: dict(values) for key, values in draw.constants.items()}
    for key, name, deviation in deviations(source):
        # (E4.19) c' = c + z (high - low)/(2 * 1.96)
        value = after.entries[key].constants[name].value + deviation * float(random.standard_normal())
        constants.setdefault(key, {})[name] = value
    draw = Draw(names, draw.parameters, constants)
    changed(source, draw, names)  # raises where that is no record
    return draw


def deviations(source: Record) -> Iterator[tuple[str, str, float]]:
    """(entry, constant, standard deviation) of every constant that was fitted to a recording."""
    for key, entry in source.entries.items():
        for name, constant in entry.constants.items():
            if constant.interval is not None:
                yield key, name, (constant.interval[1] - constant.interval[0]) / WIDTH


def difference(source: Record, after: Record, note: str) -> Draw:
    """What `after` has other than `source`."""
    old = parameters(source)
    changes = {name: use.value for name, use in parameters(after).items() if use.value != old[name].value}
    constants = {}
    for key, entry in after.entries.items():
        moved = {name: constant.value for name, constant in entry.constants.items()
                 if constant.value != source.entries[key].constants[name].value}
        if moved:
            constants[key] = moved
    return Draw(note, changes, constants)


def table(source: Record, ensemble: Ensemble) -> Table:
    """Every constant, and what it means for the network: as it is, by published set, and where 95 % of the draws are.
    """
    published_values = [values(ensemble.sample(source, name)) for name in ensemble.published]
    drawn = [values(ensemble.sample(source, str(number))) for number in range(len(ensemble.draws))]
    rows = []
    for name, value in values(source).items():
        quantiles = np.quantile([draw[name] for draw in drawn], [.5, .025, .975]) if drawn else [np.nan] * 3
        rows.append((name, *(f"{number:.5g}" for number in (
            value, *(column[name] for column in published_values), *quantiles))))
    columns = ("", "record", *(f"({number})" for number in range(1, len(published_values) + 1)), "median", "2.5 %",
               "97.5 %")
    notes = [f"({number}) {draw.note}" for number, draw in enumerate(ensemble.published.values(), 1)]
    notes += [f"median and quantiles of {len(drawn)} draws"]
    notes += [f"not in it: {name}: {why}" for name, why in ensemble.rejected.items()]
    return Table(columns, rows, note="\n".join(notes))


def values(source: Record) -> dict[str, float]:
    """Constants by entry and name, and what they mean for the network."""
    constants = {f"{key}.{name}": constant.value for key, entry in source.entries.items()
                 for name, constant in entry.constants.items()}
    return constants | meaning(source)
