from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.options import StageFlags
from pocketflow.learners.channel_pruning.skipping import check_any_prunable, check_none_skipped, skip_reasons
from pocketflow.learners.channel_pruning_rmt.options import STAGE_FLAGS, ChannelPruningOptions
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from tests.learners.channel_pruning_rmt.test_learner import net

layers = keras.layers


def reasons(**options) -> dict[str, str]:
    model = net()
    return skip_reasons(model, reader_channels(model), ChannelPruningOptions(**options).stage)


def test_skip_rules():
    assert reasons() == {'conv1': 'first convolution', 'logits': 'cpr_dense_layers=hidden'}
    assert reasons(skip_first=False)['conv1'] == 'one input channel'
    assert reasons(skip_last=True)['conv2'] == 'last convolution'
    assert reasons(dense='none').keys() == {'conv1', 'hidden', 'logits'}
    assert 'logits' not in reasons(dense='all')
    assert reasons(skip_names='xyz, hid')['hidden'] == 'cpr_skip_op_names=hid'


def test_a_plan_for_the_first_convolution():
    plan = CompressionPlan('channels', 'net', {'conv1': (0, 1), 'logits': (0, 1)}, {'conv1': 3, 'logits': 2})
    with pytest.raises(UsageError, match='prunes conv1, which cpr_skip_frst_layer skips; pass --nocpr_skip_frst_layer'):
        check_none_skipped(plan, reasons(), STAGE_FLAGS, 'cpr_save_path_ws')
    with pytest.raises(UsageError, match=r'prunes conv1, which is not pruned \(one input channel\); take it out'):
        check_none_skipped(plan, reasons(skip_first=False), STAGE_FLAGS, 'cpr_save_path_ws')
    check_none_skipped(
        plan, {'logits': 'cpr_dense_layers=hidden'}, STAGE_FLAGS, 'cpr_save_path_ws'
    )  # all of its channels are kept


@pytest.mark.parametrize(
    ('flags', 'remedy'),
    [
        (StageFlags('n', skip_first='no_ends', skip_last='no_ends'), 'first is skipped unless you pass --nono_ends'),
        (StageFlags('n'), 'it has none'),
    ],
)
def test_only_flags_of_the_learner_are_named(flags, remedy):
    inputs = keras.Input((8, 8, 2))
    model = keras.Model(inputs, layers.Conv2D(3, 3, name='first')(inputs))
    with pytest.raises(UsageError, match=f'chn-x prunes Conv2D and Dense .*; {remedy}$'):
        check_any_prunable(model, {'first': 'first convolution'}, flags, 'chn-x')
