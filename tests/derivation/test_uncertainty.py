"""Draws of records: they are what they say, follow from the seed, and spread as intervals and published sets do."""

import dataclasses
import json
import math

import numpy as np
import pytest

from astro_sim.models import MODELS
from derivation.proof import recomputation, uncertainty
from derivation.record import ensemble, record
from foundation.errors import DamagedFileError, UserError

COMMITTED = record.load()
# without the entry whose reduction follows twelve oscillations, and a second kernel that can be kept
SOURCE = record.make({key: COMMITTED.entry(key) for key in ("retention", "relative_position", "feedback_bound",
                                                           "relative_position_diffusive", "feedback",
                                                           "calcium_response")}, COMMITTED.versions)


def kept(draw):
    """Entries that a draw leaves as they are, as its note says."""
    return draw.note.partition("kept: ")[2].split(", ")


@pytest.fixture(scope="module")
def found():
    return uncertainty.draw_records(SOURCE, draws=4, seed=3)


def q_of(source):
    return source.entry("retention").constants["q"].value


# ---------------------------------------------------------------------------------------------- sets


@pytest.mark.slow
def test_published_sets_are_all_of_the_models_behind_the_record():
    sets = uncertainty.published(SOURCE)
    assert set(sets["DP"]) == set(MODELS["graupner_brunel"].parameter_sets) - {"DP"}
    assert sets["AM"]["FM"]["li_rinzel.K_P"] == 0.05
    assert sets["DP"]["cortical_slices"]["graupner_brunel.tau_Ca"] == 22.6936
    assert "graupner_brunel.theta_p" not in sets["DP"]["cortical_slices"], "only what differs"


def test_another_set_is_driven_in_the_same_place_of_its_range():
    """AM between its public Hopf points .354534 and .636882; FM there must oscillate, and at .5 it does not."""
    share = (0.5 - 0.354534) / (0.636882 - 0.354534)
    level = uncertainty.published(SOURCE)["AM"]["FM"]["li_rinzel.ip3"]
    low, high = 0.529070, 0.860021  # where the eigenvalues of FM's equilibrium cross, by a scan with numpy
    assert level == pytest.approx(low + share * (high - low), abs=1e-5)
    with pytest.raises(UserError, match="does not oscillate"):
        recomputation.recompute(dataclasses.replace(SOURCE, entries={"retention": SOURCE.entry("retention")}),
                         {"li_rinzel.K_P": 0.05})


@pytest.mark.slow
def test_a_published_set_alone_is_the_whatif_of_its_numbers(found):
    assert set(found.published) | set(found.rejected) - {"draws"} == {
        name for others in uncertainty.published(SOURCE).values() for name in others}
    changes = {name: one for others in uncertainty.published(SOURCE).values() for name, one in others.items()}
    whole = [name for name, draw in found.published.items() if kept(draw) == [""]]
    assert {"cortical_slices", "DePitta2008_FM"} <= set(whole)
    for name in whole:
        made = found.sample(SOURCE, name)
        assert made.entries == recomputation.recompute(SOURCE, changes[name]).entries
        assert name in made.versions["changed"] and made.hash != SOURCE.hash


def test_what_a_set_has_no_value_for_is_kept_and_said(found):
    """With FM's enzymes calcium does not rest without glutamate: no coupling, but a cycle."""
    made = found.sample(SOURCE, "FM")
    assert set(kept(found.published["FM"])) == {"relative_position", "relative_position_diffusive"}
    assert made.entry("relative_position").constants == SOURCE.entry("relative_position").constants
    # FM differs in K_P alone, of what the period rests on, and in its drive
    level = uncertainty.published(SOURCE)["AM"]["FM"]["li_rinzel.ip3"]
    alone = dataclasses.replace(SOURCE, entries={"retention": SOURCE.entry("retention")})
    expected = recomputation.recompute(alone, {"li_rinzel.K_P": 0.05, "li_rinzel.ip3": level})
    assert q_of(made) == q_of(expected) < q_of(SOURCE)


# ---------------------------------------------------------------------------------------------- draws


def test_a_draw_follows_from_seed_and_number(found):
    fewer = uncertainty.draw_records(SOURCE, draws=2, seed=3)
    assert fewer.draws == found.draws[:2] and found.draws[0] != found.draws[1]
    assert uncertainty.draw_records(SOURCE, draws=1, seed=4).draws[0] != found.draws[0]


def test_a_draw_is_the_record_at_its_parameters_but_for_the_noise(found):
    """Constants anew from the draw's own parameters: what is left is the fits' error, some standard deviations."""
    check_draws(found, SOURCE, range(len(found.draws)))


def check_draws(found, source, numbers):
    noise = {(key, name): deviation for key, name, deviation in uncertainty.deviations(source)}
    assert noise, "the record has fitted constants"
    for number in numbers:
        draw, made = found.draws[number], found.sample(source, str(number))
        for key, entry in source.entries.items():
            again = entry if key in kept(draw) else recomputation.with_parameters(entry, draw.parameters)
            for name, constant in made.entry(key).constants.items():
                off = constant.value - again.constants[name].value
                # one in 1e8 normal numbers is beyond 5.7; without noise the formula is evaluated alike
                assert abs(off) <= 5.7 * noise.get((key, name), 0.) + 1e-12 * abs(constant.value)
        assert 0 < q_of(made) < 1 and str(number) in made.versions["changed"]


@pytest.mark.slow
def test_assumed_parameters_spread_as_said_and_others_not_at_all():
    """With closed-form chains alone (the kernel's entry): 60 draws, standard deviation and mean of the logarithm."""
    name = "relative_position_diffusive"
    entry = dataclasses.replace(SOURCE.entry(name), parameters=tuple(
        dataclasses.replace(use, basis="assumed" if use.name == "D" else "fitted", model="macro")
        for use in SOURCE.entry(name).parameters if use.through is None))
    small = record.make({**{key: dataclasses.replace(one, parameters=(), constants={
        name: dataclasses.replace(constant, formula=None, fitted=None, interval=None)
        for name, constant in one.constants.items()}, validity=(), scales=()) for key, one in SOURCE.entries.items()},
        name: dataclasses.replace(entry, validity=())}, {})
    made = uncertainty.draw_records(small, draws=60, seed=1, assumed_spread=0.3)
    old = {use.name: use.value for use in entry.parameters}
    logarithms = np.log([draw.parameters["D"] / old["D"] for draw in made.draws])
    assert all(set(draw.parameters) == {"D"} for draw in made.draws)
    # four standard errors
    assert logarithms.mean() == pytest.approx(0, abs=4 * 0.3 / math.sqrt(60))
    assert logarithms.std() == pytest.approx(0.3, abs=4 * 0.3 / math.sqrt(120))
    still = uncertainty.draw_records(small, draws=2, seed=1, assumed_spread=0.)
    assert all(not draw.parameters for draw in still.draws)


@pytest.mark.slow
def test_noise_is_that_of_the_interval():
    """A 95 % interval is 3.92 standard deviations wide; 60 draws of a record that has nothing else to vary."""
    entry = SOURCE.entry("retention")
    constant = dataclasses.replace(entry.constants["q"], formula=None, fitted=0.7, interval=(0.65, 0.75))
    plain = {key: dataclasses.replace(one, parameters=(), validity=(), scales=(), constants={
        name: dataclasses.replace(constant, formula=None, fitted=None, interval=None)
        for name, constant in one.constants.items()}) for key, one in SOURCE.entries.items()}
    source = record.make({**plain, "retention": dataclasses.replace(plain["retention"], constants={"q": constant})}, {})
    drawn = [draw.constants["retention"]["q"] for draw in uncertainty.draw_records(source, draws=60, seed=2).draws]
    deviation = 0.1 / 3.92
    assert np.mean(drawn) == pytest.approx(constant.value, abs=4 * deviation / math.sqrt(60))
    assert np.std(drawn) == pytest.approx(deviation, abs=4 * deviation / math.sqrt(120))


@pytest.mark.slow
def test_the_text_has_record_sets_and_quantiles(found):
    told = str(uncertainty.table(SOURCE, found))
    row = next(line for line in told.splitlines() if line.startswith("retention.q"))
    numbers = [float(part) for part in row.split()[1:]]
    expected = [q_of(SOURCE), *(q_of(found.sample(SOURCE, name)) for name in found.published)]
    assert numbers[:len(expected)] == pytest.approx(expected, rel=1e-4)
    drawn = [q_of(found.sample(SOURCE, str(n))) for n in range(4)]
    assert numbers[len(expected)] == pytest.approx(np.median(drawn), rel=1e-4)


# ---------------------------------------------------------------------------------------------- the file


def test_an_ensemble_is_written_and_read_whole(found, tmp_path):
    path = tmp_path / "rmaat.ensemble.json"
    ensemble.save(found, path)
    assert ensemble.load(path) == found
    assert ensemble.path_beside(tmp_path / "rmaat.json") == path


@pytest.mark.parametrize(("alter", "message"), [
    (lambda body: body["draws"][0]["parameters"].update({"tau_cycle": 1.0}), "hash: does not match"),
    (lambda body: body.pop("seed"), "seed: missing"),
    (lambda body: body["draws"][0].update(more=1), r"draws\[0\]\.more: unknown key"),
    (lambda body: body.update(assumed_spread="wide"), "assumed_spread: expected a finite number"),
    (lambda body: body.update(schema=7), "schema: 7 is not the version"),
])
def test_what_is_wrong_with_a_file_is_named(found, tmp_path, alter, message):
    path = tmp_path / "e.json"
    ensemble.save(found, path)
    body = json.loads(path.read_text())
    alter(body)
    path.write_text(json.dumps(body))
    with pytest.raises(DamagedFileError, match=message):
        ensemble.load(path)


def test_what_is_no_ensemble_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot read the ensemble"):
        ensemble.load(tmp_path / "none.json")
    (tmp_path / "e.json").write_text('{"seed": NaN}')
    with pytest.raises(DamagedFileError, match="NaN is not a number"):
        ensemble.load(tmp_path / "e.json")


@pytest.mark.parametrize("which", ["4", "-1", "one", "cortical_slice"])
def test_an_unknown_sample_lists_the_right_ones(found, which):
    with pytest.raises(UserError, match=f"unknown record sample '{which}'"):
        found.sample(SOURCE, which)


def test_an_ensemble_of_another_record_is_refused(found):
    other = recomputation.recompute(SOURCE, {"graupner_brunel.gamma_p": 300.})
    with pytest.raises(UserError, match="draw anew"):
        found.sample(other, "0")


def test_the_committed_ensemble_belongs_to_the_committed_record():
    committed = ensemble.load(ensemble.path_beside(None))
    assert committed.belongs_to(COMMITTED), "the record was derived anew: run 'python -m derivation sample'"
    assert len(committed.draws) >= 50 and {"FM", "hippocampal_slices"} <= set(committed.published)
    check_draws(committed, COMMITTED, range(0, len(committed.draws), 10))
