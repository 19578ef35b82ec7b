"""Plans: what they accept, how they are kept, and whether they fit a model."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.compression_plan import CompressionPlan, load_plan
from pocketflow.utils.errors import UsageError

layers = keras.layers


def tiny(filters: int = 4, name: str = 'tiny') -> keras.Model:
    inputs = keras.Input((4, 4, 3))
    x = layers.ReLU()(layers.Conv2D(filters, 3, name='conv')(inputs))
    return keras.Model(inputs, layers.Dense(2, name='logits')(layers.Flatten()(x)), name=name)


def plan() -> CompressionPlan:
    return CompressionPlan('channels', 'tiny', {'logits': (0, 2)}, {'logits': 4}, {'macs': 1234.0})


@pytest.mark.parametrize(
    'example',
    [
        plan(),
        CompressionPlan('sparsity', 'tiny', {'conv': 0.5, 'logits': 0.0}),
        CompressionPlan('bits', 'tiny', {'conv': 4}, predicted={'bytes': 12}),
    ],
)
def test_json_and_files_give_the_same_plan_back(example, tmp_path):
    assert CompressionPlan.from_json(example.to_json()) == example
    example.save(tmp_path / 'plan.json')
    assert CompressionPlan.load(tmp_path / 'plan.json') == example
    assert [path.name for path in tmp_path.iterdir()] == ['plan.json']


def test_a_plan_prints_itself():
    assert str(plan()) == 'channels plan for tiny, macs 1,234\n  logits: 2 of 4'
    assert str(CompressionPlan('sparsity', 'tiny', {'conv': 0.5})) == 'sparsity plan for tiny\n  conv: 0.5'


def test_a_plan_gives_the_values_of_its_kind_only():
    assert CompressionPlan('channels', 'tiny', {'a': (0, 2)}, {'a': 4}).channels() == {'a': (0, 2)}
    assert CompressionPlan('sparsity', 'tiny', {'a': 0.5}).shares() == {'a': 0.5}
    assert CompressionPlan('bits', 'tiny', {'a': 4}).widths() == {'a': 4}
    with pytest.raises(ValueError, match='a plan of bits has no sparsity'):
        CompressionPlan('bits', 'tiny', {'a': 4}).shares()


def test_a_plan_cannot_be_changed_and_keeps_plain_numbers():
    values = {'conv': np.float32(0.5)}
    made = CompressionPlan('sparsity', 'tiny', values)
    values['conv'] = 0.25
    assert made.values == {'conv': 0.5} and type(made.values['conv']) is float
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.kind = 'bits'


@pytest.mark.parametrize(
    ('kind', 'value', 'message'),
    [
        ('sparsity', 1.0, r"layer 'a': 1\.0 is not a share in \[0, 1\)"),
        ('sparsity', float('nan'), 'nan is not a share'),
        ('bits', 0, r'0 is not a whole number of bits in 1\.\.32'),
        ('bits', 2.5, '2.5 is not a whole number'),
        ('bits', True, 'True is not a whole number'),
        ('channels', (), r'\(\) is not one or more distinct channel numbers'),
        ('channels', (2, 1), r'\(2, 1\) is not one or more distinct'),
        ('channels', (-1, 1), r'\(-1, 1\) is not'),
        ('channels', (0, 4), 'channel 4 is kept, but nb_channels says that there are 4'),
        ('colour', 1, "unknown kind of compression plan 'colour'; known: channels, sparsity, bits"),
    ],
)
def test_wrong_values_are_refused(kind, value, message):
    with pytest.raises(UsageError, match=message):
        CompressionPlan(kind, 'tiny', {'a': value}, {'a': 4})


def changed(**entries) -> str:
    return json.dumps({**json.loads(plan().to_json()), **entries})


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"schema": 1', 'must be JSON: '),
        ('[' * 100_000, 'must be JSON: maximum recursion depth'),
        ('[1]', "must be a JSON object with the entry 'schema'"),
        (changed(schema=2), 'has the schema 2; this version reads 1'),
        (changed(kind='colour'), "unknown kind of compression plan 'colour'"),
        (changed(kind=['bits']), r"unknown kind of compression plan \['bits'\]"),
        (changed(extra=1), 'has the entries .*; this one has extra, kind'),
        ('{"schema": 1}', 'this one has none'),
        (changed(values=[1]), r"entry 'values' of a compression plan must be an object, not \[1\]"),
        (changed(values={'logits': 'all'}), "layer 'logits': 'all' is not one or more"),
        (changed(nb_channels={}), 'nb_channels says that there are None'),
        (changed(predicted={'macs': 'few'}), "predicted 'macs' of a compression plan is 'few', not a number"),
    ],
)
def test_what_is_no_plan_is_refused_in_one_line(text, message, tmp_path):
    with pytest.raises(UsageError, match=message) as failure:
        CompressionPlan.from_json(text)
    assert '\n' not in str(failure.value)
    (tmp_path / 'bad.json').write_text(text)
    with pytest.raises(UsageError, match='bad.json: .*' + message):
        CompressionPlan.load(tmp_path / 'bad.json')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the compression plan '.*none\.json'"):
        CompressionPlan.load(tmp_path / 'none.json')


def test_a_plan_for_this_model_fits():
    plan().check_model(tiny())
    plan().check_model(tiny(name='another_name'))
    CompressionPlan('bits', 'tiny', {'conv': 4}).check_model(tiny())


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        (plan(), r"another model \('tiny'\) than 'other': layer 'logits' has 5 input channels, the plan expects 4"),
        (CompressionPlan('channels', 'x', {'up': (0,)}, {'up': 2}), "no prunable layer 'up'; it has conv, logits"),
        (CompressionPlan('bits', 'x', {'up': 4}), "no layer with weights 'up'; it has conv, logits"),
    ],
)
def test_a_plan_for_another_model_is_refused(other, message):
    with pytest.raises(UsageError, match=message):
        other.check_model(tiny(5, 'other'))


def given(path) -> CompressionPlan:
    return load_plan(str(path), 'some-learner', 'channels', 'some_plan')


def test_a_plan_is_given_by_its_file_or_by_a_run_that_holds_it(tmp_path):
    plan().save(tmp_path / 'plan.json')
    assert given(tmp_path / 'plan.json') == plan()
    for stage in ('1-some-learner', '2-other-learner', '3-some-learner'):
        (tmp_path / stage).mkdir()
        CompressionPlan('channels', stage, {}).save(tmp_path / stage / 'plan.json')
    assert given(tmp_path).model_name == '3-some-learner'


def test_what_is_no_plan_of_the_learner_is_refused_by_the_name_of_the_flag(tmp_path):
    with pytest.raises(UsageError, match='--some_plan=.*: no plan of some-learner in that run directory; give the dir'):
        given(tmp_path)
    with pytest.raises(UsageError, match='^--some_plan: cannot read the compression plan .*none.json'):
        given(tmp_path / 'none.json')
    CompressionPlan('sparsity', 'tiny', {'conv': 0.5}).save(tmp_path / 'plan.json')
    with pytest.raises(
        UsageError,
        match='^--some_plan=.*plan.json: a plan of sparsity; give one of channels, with one '
        'or more distinct channel numbers, ascending from 0 on for each layer$',
    ):
        given(tmp_path / 'plan.json')
