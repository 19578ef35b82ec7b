"""What is refused of the options of TFRecord files."""

from __future__ import annotations

import pytest

from pocketflow.datasets.tfrecord_options import TfrecordOptions
from pocketflow.utils.errors import UsageError


def test_options_are_checked():
    with pytest.raises(UsageError, match='--tfrecord_height and --tfrecord_width: give both or none'):
        TfrecordOptions(feature_height='h')
    with pytest.raises(UsageError, match='--data_dir_local is missing; name the folder of the TFRecord files'):
        TfrecordOptions().refuse_missing()
    with pytest.raises(UsageError, match='there is no such folder'):
        TfrecordOptions(data_dir_local='nowhere').refuse_missing()
    TfrecordOptions(data_dir_local='gs://bucket').refuse_missing()  # TensorFlow reads it
