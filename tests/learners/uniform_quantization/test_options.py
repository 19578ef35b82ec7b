"""Options of uniform quantization that are refused."""

from __future__ import annotations

import pytest

from pocketflow.learners.uniform_quantization.learner import UniformQuantizationOptions
from pocketflow.utils.errors import UsageError


@pytest.mark.parametrize(
    'options, message',
    [
        ({'weight_bits': 0}, '--uql_weight_bits=0: must be a number >= 1 and <= 16'),
        ({'weight_bits': 17}, '--uql_weight_bits=17: must be a number >= 1 and <= 16'),
        ({'activation_bits': 1}, '--uql_activation_bits=1: must be a number >= 2 and <= 32'),
        ({'bucket_type': 'row'}, '--uql_bucket_type=row: must be one of channel, split'),
        ({'bucket_size': 1}, '--uql_bucket_size=1: must be a number >= 2'),
        ({'symmetric': True, 'weight_bits': 1}, '--uql_weight_bits=1: with --uql_symmetric it must be 2 to 8'),
        ({'symmetric': True, 'weight_bits': 16}, '--uql_weight_bits=16: with --uql_symmetric it must be 2 to 8'),
        (
            {'symmetric': True, 'use_buckets': True, 'bucket_type': 'split'},
            '--uql_bucket_type=split: --uql_symmetric has one grid per output channel',
        ),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UsageError, match=message):
        UniformQuantizationOptions(**options)
