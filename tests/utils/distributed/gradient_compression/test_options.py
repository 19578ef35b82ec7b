"""Options of gradient compression that are refused."""

from __future__ import annotations

import pytest

from pocketflow.utils.distributed.gradient_compression import CompressionOptions
from pocketflow.utils.errors import UsageError


@pytest.mark.parametrize(
    'wrong', [{'bits': '3'}, {'kind': 'qsgd'}, {'bucket_size': 0}, {'error_decay': 1.5}, {'exchange': 'ring'}]
)
def test_wrong_options(wrong):
    with pytest.raises(UsageError, match='must be '):
        CompressionOptions(**wrong)
