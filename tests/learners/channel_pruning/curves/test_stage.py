"""Curves in a stage: measured, resumed, given; channels within the budget; the report's entry."""

from __future__ import annotations

import dataclasses
import json

import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.curves import stage as stages
from pocketflow.learners.channel_pruning_rmt.learner import ChannelPrunedRmtLearner
from pocketflow.learners.channel_pruning_rmt.options import ChannelPruningOptions
from pocketflow.learners.forecast import Speed
from pocketflow.utils.costs.cost_model import total_macs, total_parameters
from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports.curves import SHAPE
from pocketflow.utils.runs.records import mismatches
from tests.learners.search.conftest import tiny_context, tiny_net


def learner(folder, **options) -> ChannelPrunedRmtLearner:
    folder.mkdir(exist_ok=True)
    given = {'prune_option': 'program', 'preserve_ratio': 0.5, 'num_images': 40, 'num_positions': 4, **options}
    return ChannelPrunedRmtLearner(tiny_context(folder), ChannelPruningOptions(**given))


@pytest.fixture(scope='module')
def model() -> keras.Model:
    return tiny_net()


@pytest.fixture(scope='module')
def run(model, tmp_path_factory):
    """The folder of a run that has measured curves, and the channels it chose."""
    folder = tmp_path_factory.mktemp('run')
    return folder, learner(folder).search_values(model)


def macs_share(model, kept) -> float:
    return total_macs(model, kept) / total_macs(model)


def test_the_channels_are_within_the_budget_and_the_report_has_an_entry(model, run):
    folder, found = run
    assert [*found] == ['b', 'hidden'] and macs_share(model, found) <= 0.5
    made = learner(folder)
    compressed = made.compress(model, found)
    assert total_macs(compressed.model) == total_macs(model, found) == compressed.plan.predicted['macs']
    entry = made.curves_record()
    assert not list(mismatches(json.loads(json.dumps(entry)), SHAPE))
    assert entry['cost'] == [total_macs(model), total_macs(model, found)] and entry['budget'] == total_macs(model) / 2
    assert [group['chosen'] for group in entry['groups']] == [len(found['b']), len(found['hidden'])]
    assert learner(folder, prune_option='uniform', preserve_ratio=0.5).curves_record() is None


def test_curves_serve_other_budgets_without_being_measured_again(model, run, tmp_path, monkeypatch):
    folder, found = run
    monkeypatch.setattr(stages, 'measure_curves', None)
    assert learner(folder).search_values(model) == found  # found in the folder of the stage
    for budget, cost in (('macs', total_macs), ('parameters', total_parameters)):
        for method in ('sensitive', 'program'):
            other = learner(
                tmp_path / f'{budget}-{method}',
                curves=str(folder), preserve_ratio=0.4, budget=budget, prune_option=method,
            )  # fmt: skip
            other.check_inputs()
            kept = other.search_values(model)
            assert cost(model, kept) <= 0.4 * cost(model)
            predicted = other.predict(model).model
            assert cost(predicted) == cost(model, kept) and other.prediction_method().startswith('exact')


def test_an_interrupted_measurement_continues(model, run, tmp_path):
    folder, found = run
    record = json.loads((folder / 'stage' / 'curves.json').read_text())
    part = {**record, 'groups': record['groups'][:1], 'complete': False}
    part['groups'][0]['points'][0]['loss'] = 123.0
    (tmp_path / 'stage').mkdir()
    (tmp_path / 'stage' / 'curves.json').write_text(json.dumps(part))
    learner(tmp_path).search_values(model)
    again = json.loads((tmp_path / 'stage' / 'curves.json').read_text())
    assert again['groups'] == [*part['groups'], *record['groups'][1:]] and again['complete']
    with pytest.raises(UsageError, match='^--cpr_curves=.*: the measurement was interrupted; continue that run first'):
        (tmp_path / 'stage' / 'curves.json').write_text(json.dumps(part))
        learner(tmp_path / 'other', curves=str(tmp_path)).check_inputs()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'curves': '/nowhere'}, '--cpr_curves=/nowhere: no curves.json there; give that file, or the directory of a'),
        ({'selector': 'l1'}, "measured with the selector 'lasso', not 'l1'; give --cpr_criterion=lasso, or drop"),
        ({'skip_names': 'hidden'}, "layer 'hidden' has 12 input channels there; here: no such layer"),
        ({'preserve_ratio': 0.01}, r'--cpr_preserve_ratio=0.01: out of reach: .* to 1 of its multiply-adds'),
    ],
)
def test_what_given_curves_do_not_fit_is_refused_before_training(model, run, tmp_path, options, message):
    other = learner(tmp_path, **{'curves': str(run[0]), **options})
    with pytest.raises(UsageError, match=message):
        other.check_inputs()
        other.check_model(lambda: model)


def test_a_budget_out_of_reach_is_refused_before_anything_is_measured(model, tmp_path):
    learner(tmp_path, preserve_ratio=0.3).check_model(lambda: model)
    message = (
        r'^--cpr_preserve_ratio=0.02: out of reach: with 0.125 to all of the .* keeps 0\.\d+ to 1 of its parameters$'
    )
    with pytest.raises(UsageError, match=message):
        learner(tmp_path, preserve_ratio=0.02, budget='parameters').check_model(lambda: model)


def test_the_prediction_without_curves_uses_the_budget(model, tmp_path):
    made = learner(tmp_path)
    assert 0.35 < total_macs(made.predict(model).model) / total_macs(model) <= 0.5
    assert 'equal shares within the budget' in made.prediction_method()


def test_the_forecast_counts_the_points(model, run, tmp_path):
    speed = Speed(step=0.0, image=1.0, prediction=0.0)
    uniform = learner(tmp_path, prune_option='uniform').compress_effort(model, speed).seconds
    measured = learner(tmp_path).compress_effort(model, speed).seconds
    # Two groups with seven points each, on the 20 held-out samples; 1,000 images for the equations.
    assert measured - uniform == pytest.approx(2 * 7 * 20 + 1000, rel=0.05)
    assert learner(tmp_path, curves=str(run[0])).compress_effort(model, speed).seconds == pytest.approx(uniform)


def test_held_out_samples_are_not_trained_on():
    assert ChannelPruningOptions(prune_option='program').holds_out
    assert ChannelPruningOptions(prune_option='auto').holds_out and not ChannelPruningOptions().holds_out


def test_other_weights_are_warned_of(run, tmp_path, caplog):
    other = tiny_net(1)
    learner(tmp_path, curves=str(run[0])).search_values(other)
    assert 'measured with other weights' in caplog.text


def test_a_trial_of_a_search_over_flags_measures_its_own_curves(model, tmp_path, run):
    made = learner(tmp_path, curves=str(run[0]))
    context = dataclasses.replace(made.context, folder=tmp_path / 'trial', num_epochs=0.0)
    tried = ChannelPrunedRmtLearner(context, made.options).compress(model)
    assert total_macs(tried.model) <= 0.5 * total_macs(model)
