from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.training.precision import compute_dtype, cpu_has_bfloat16, resolve_compute_dtype


def test_auto_follows_the_machine():
    assert resolve_compute_dtype('auto', has_bfloat16=True, has_gpu=False) == 'bfloat16'
    assert resolve_compute_dtype('auto', has_bfloat16=False, has_gpu=False) == 'float32'
    assert resolve_compute_dtype('auto', has_bfloat16=True, has_gpu=True) == 'float32'
    assert resolve_compute_dtype('float32', has_bfloat16=True, has_gpu=False) == 'float32'
    with pytest.raises(UsageError, match='--compute_dtype=bfloat16: only for training on CPUs'):
        resolve_compute_dtype('bfloat16', has_bfloat16=True, has_gpu=True)


def test_auto_avoids_bfloat16_for_odd_channel_counts():
    def net(filters):
        inputs = keras.Input((8, 8, 3))
        return keras.Model(inputs, keras.layers.Conv2D(16, 1)(keras.layers.Conv2D(filters, 3)(inputs)))

    assert resolve_compute_dtype('auto', net(32), has_bfloat16=True, has_gpu=False) == 'bfloat16'
    assert resolve_compute_dtype('auto', net(30), has_bfloat16=True, has_gpu=False) == 'float32'
    assert resolve_compute_dtype('bfloat16', net(30), has_bfloat16=True, has_gpu=False) == 'bfloat16'


def test_reads_the_processor_flags(tmp_path):
    file = tmp_path / 'cpuinfo'
    file.write_text('flags : fpu amx_bf16 sse')
    assert cpu_has_bfloat16(str(file))
    assert not cpu_has_bfloat16(str(tmp_path / 'absent'))


@pytest.mark.skipif(not cpu_has_bfloat16(), reason='this processor has no bfloat16 instructions')
def test_only_functions_called_inside_compute_in_bfloat16():
    x = tf.constant(np.random.default_rng(0).normal(size=(64, 16, 16, 8)).astype(np.float32))
    kernel = tf.constant(np.random.default_rng(1).normal(size=(3, 3, 8, 8)).astype(np.float32))
    convolve = tf.function(lambda: tf.nn.conv2d(x, kernel, 1, 'SAME'))
    exact = convolve().numpy()
    with compute_dtype('bfloat16'):
        rough = tf.function(lambda: tf.nn.conv2d(x, kernel, 1, 'SAME'))()
        assert rough.dtype == tf.float32
        error = np.abs(rough.numpy() - exact).max() / np.abs(exact).max()
    assert 1e-5 < error < 2e-2
    np.testing.assert_allclose(convolve().numpy(), exact, rtol=1e-6)
