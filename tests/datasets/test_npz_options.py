"""What is refused of the options of arrays."""

from __future__ import annotations

import pytest

from pocketflow.datasets.npz_options import NpzOptions
from pocketflow.utils.errors import UsageError


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'images_train': 'x'}, '--npz_x_train=x: also give --npz_y_train'),
        ({'labels_eval': 'y'}, '--npz_y_eval=y: also give --npz_x_eval'),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(UsageError, match=message):
        NpzOptions(**options)


def test_a_path_is_needed(tmp_path):
    with pytest.raises(UsageError, match='--data_dir_local is missing; name the .npz file'):
        NpzOptions().refuse_missing()
    with pytest.raises(UsageError, match='there is no such'):
        NpzOptions(data_dir_local=str(tmp_path / 'none.npz')).refuse_missing()
    NpzOptions(data_dir_local='gs://bucket/a.npz').refuse_missing()  # TensorFlow reads it
