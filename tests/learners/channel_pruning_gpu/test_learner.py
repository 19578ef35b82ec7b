from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketflow.learners.channel_pruning.pruning import prune_channels
from pocketflow.learners.channel_pruning_gpu.learner import ChannelPrunedGpuLearner
from pocketflow.learners.channel_pruning_gpu.options import GroupSparseOptions
from pocketflow.utils.errors import UsageError
from tests.learners.channel_pruning_rmt.test_learner import net
from tests.learners.conftest import make_context


def learner(tmp_path: Path, **options) -> ChannelPrunedGpuLearner:
    options = GroupSparseOptions(**{'num_images': 30, 'num_positions': 4, **options})
    return ChannelPrunedGpuLearner(make_context('lenet_at_digits', tmp_path), options)


def listed(tmp_path: Path, text: str) -> ChannelPrunedGpuLearner:
    (tmp_path / 'ratios').write_text(text)
    return learner(tmp_path, ratio_type='list', ratio_file=str(tmp_path / 'ratios'))


def kept(one: ChannelPrunedGpuLearner) -> dict[str, int]:
    return {name: len(channels) for name, channels in one.compress(net()).plan.channels().items()}


def test_it_is_the_shared_stage_with_the_group_sparse_selector(tmp_path):
    one, model = learner(tmp_path, skip_ends=False), net()
    result = one.compress(model)
    images = one.helper.training_images(30)
    expected = prune_channels(model, images, 0.5, 'group-sparse', layers=['conv2', 'hidden'], num_positions=4)
    assert result.plan.values == expected.plan.values
    for found, wanted in zip(result.model.get_weights(), expected.model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_first_and_the_last_convolution_are_left_alone_by_default(tmp_path):
    assert kept(learner(tmp_path)) == {'hidden': 3}
    assert kept(learner(tmp_path, skip_ends=False)) == {'conv2': 4, 'hidden': 3}
    notes = learner(tmp_path).explain_layers(net())
    assert notes == {
        'conv1': 'first convolution',
        'conv2': 'last convolution',
        'hidden': '',
        'logits': 'cpg_dense_layers=hidden',
    }


def test_each_layer_has_the_ratio_of_the_file(tmp_path):
    assert kept(listed(tmp_path, '0.9, 0.25, 0.5')) == {'conv2': 6, 'hidden': 3}
    one = listed(tmp_path, '0,0,0.5\n')
    assert kept(one) == {'hidden': 3}
    assert one.explain_layers(net())['conv2'] == 'cpg_prune_ratio_file: ratio 0'
    assert one.predict(net()).model.count_params() == one.compress(net()).model.count_params()
    assert one.shares_method().startswith('numbers of channels by --cpg_prune_ratio_file,')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('0.5,0.5', '2 numbers for 3 layers; give one for each, in the order of execution: conv1, conv2, hidden$'),
        ('0.5,0.5,1', '1 is out of range; give shares of input channels to remove, at least 0 and below 1$'),
        ('0,0,0', 'all ratios are 0, so that nothing would be removed$'),
    ],
)
def test_a_wrong_file_is_refused_before_training(tmp_path, text, message):
    one = listed(tmp_path, text)
    with pytest.raises(UsageError, match=f'^--cpg_prune_ratio_file=.*ratios: {message}'):
        one.check_inputs()
        one.check_layers(net)


def test_what_cannot_be_pruned_is_named_with_the_way_out(tmp_path):
    with pytest.raises(UsageError, match='chn-pruned-gpu prunes .*; conv2 is skipped unless you pass --nocpg_skip_ht'):
        learner(tmp_path, dense='none').check_layers(net)
    learner(tmp_path, dense='none', skip_ends=False).check_layers(net)
    learner(tmp_path).check_model(net)


def test_a_file_goes_with_the_type_that_reads_it():
    message = '--cpg_prune_ratio_type=list and --cpg_prune_ratio_file=FILE go together; give both or neither'
    for options in ({'ratio_type': 'list'}, {'ratio_file': 'x'}):
        with pytest.raises(UsageError, match=message):
            GroupSparseOptions(**options)
    with pytest.raises(UsageError, match='--cpg_prune_ratio=1.0: must be a number >= 0 and < 1$'):
        GroupSparseOptions(prune_ratio=1.0)
    assert not GroupSparseOptions().searches
