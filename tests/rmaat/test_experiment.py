"""Experiments: every config builds, settings are typed and named in errors, JSON comes back the same or is refused."""

import dataclasses
import itertools

import pytest

from foundation.errors import DamagedFileError, UserError
from rmaat.tasks.registry import TASKS
from rmaat.training.configs import CONFIGS, listops_small, recall
from rmaat.training.experiment import TrainConfig, experiment, to_json
from rmaat.training.settings import change
from rmaat.training.stored import from_json


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_is_complete_and_fits_its_task(name):
    made = CONFIGS[name]()
    assert made.name == name and made == CONFIGS[name]()
    assert made.model.vocab_size == made.task.vocab_size and made.model.num_classes == made.task.num_classes
    room = made.model.num_segments * made.model.segment_length
    assert room >= made.task.max_length > room - made.model.segment_length
    assert TASKS[made.task.name] is type(made.task)
    assert CONFIGS[name].__doc__


@pytest.mark.parametrize("name", CONFIGS)
def test_json_comes_back_the_same(name):
    made = CONFIGS[name]()
    assert from_json(to_json(made), "here") == made and from_json(to_json(made), "here").hash == made.hash


def test_settings_change_what_they_name_and_what_follows_from_it():
    changed = change(recall(), ["width=64", "num_segments=4", "train.steps=3", "learning_rate=1e-4", "retention=leaky"])
    assert (changed.model.width, changed.model.retention) == (64, "leaky")
    assert (changed.task.num_segments, changed.model.num_segments) == (4, 4)
    assert (changed.train.steps, changed.train.learning_rate) == (3, 1e-4)
    assert change(recall(), []) == recall() and change(recall(), ["segment_length=48"]).model.num_segments == 3
    assert changed.hash != recall().hash


@pytest.mark.parametrize(("setting", "message"), [
    ("steps", "write field=value"),
    ("seed=3", "write task.seed or train.seed"),
    ("num_classes=3", "model.num_classes cannot be set: it follows from the task"),
    ("model.num_segments=3", "model.num_segments cannot be set"),
    ("widht=3", r"unknown field 'widht' \(did you mean 'width'\?\); choose one of: .*attention"),
    ("task.width=3", "unknown field 'task.width'"),
    ("width=a", "model.width = 'a': give a whole number"),
    ("width=1.5", "model.width = '1.5': give a whole number"),
    ("learning_rate=nan", "train.learning_rate = 'nan': give a number"),
    ("width=0", "width = 0: must be a whole number of at least 1"),
    ("steps=0", "train.steps = 0: must be at least 1"),
    ("steps=99999999999999", "train.steps = 99999999999999: must be at least 1 and at most 1,000,000,000,000"),
    ("width=99999999999999999999", "width = 99999999999999999999: must be at most 9007199254740992"),
    ("learning_rate=0", "train.learning_rate = 0.0: must be above 0"),
    ("learning_rate=-1", "train.learning_rate = -1.0: must be above 0"),
    ("beta1=1", "train.beta1 = 1.0: must be at least 0 and below 1"),
    ("train.seed=-1", r"train.seed = -1: must be in 0\.\."),
    ("retention=foo", "unknown retention 'foo'; choose one of: accumulate, geometric, leaky, multiply, none"),
    ("segment_length=0", "segment_length = 0"),
])
def test_bad_settings_are_named(setting, message):
    with pytest.raises(UserError, match=message):
        change(recall(), [setting])


def without(body, *path):
    *inner, last = path
    target = body
    for name in inner:
        target = target[name]
    del target[last]


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda body: without(body, "train"), "'train' is missing"),
    (lambda body: without(body, "train", "steps"), "train: 'steps' is missing"),
    (lambda body: without(body, "task", "name"), "task.name is missing"),
    (lambda body: body["model"].update(extra=1), "model: 'extra' is unknown"),
    (lambda body: body["model"].update(width="64"), "model.width: expected a whole number, found '64'"),
    (lambda body: body["model"].update(width=True), "model.width: expected a whole number, found True"),
    (lambda body: body["train"].update(steps=-1), "train.steps = -1"),
    (lambda body: body["task"].update(name="recal"), "unknown task 'recal'"),
    (lambda body: body.update(model=[]), "model: expected an object, found list"),
])
def test_spoilt_json_is_refused_with_the_place(spoil, message):
    body = to_json(recall())
    spoil(body)
    with pytest.raises(DamagedFileError, match=message):
        from_json(body, "config.json")


def test_the_learning_rate_warms_up_and_decays():
    config = TrainConfig(steps=100, warmup=10, learning_rate=1., final_rate=.1)
    rates = [config.rate(step) for step in range(100)]
    assert rates[0] == .1 and rates[9] == rates[10] == 1 == max(rates)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[10:]))
    # at the end of the cosine; the last step stands one step before it, which is (pi/90)^2/4 of .9 above
    assert abs(rates[-1] - .1) < 1e-3
    assert TrainConfig(steps=5, warmup=0).rate(0) == TrainConfig().learning_rate


def test_the_control_differs_in_the_retention_alone():
    control = listops_small().control()
    assert control.model == dataclasses.replace(listops_small().model, retention="reset")
    assert (control.task, control.train) == (listops_small().task, listops_small().train)


def test_an_odd_length_gets_one_more_segment():
    made = experiment("odd", TASKS["recall"](num_segments=3, segment=5), TrainConfig(), segment_length=4)
    assert made.model.num_segments == 4


def test_a_task_needs_the_logits_of_a_sample():
    with pytest.raises(UserError, match="output = tokens: a task has one label a sample"):
        change(recall(), ["output=tokens"])
