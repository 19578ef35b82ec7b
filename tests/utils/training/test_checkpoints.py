"""What is written and restored; several workers do it in tests/workers."""

from __future__ import annotations

import gc
import logging as python_logging
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import pocketflow.utils.training.trainer  # noqa: F401  (random layers then keep their state in variables)
from pocketflow.utils.distributed.multi_gpu_wrapper import Alone
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.training.checkpoints import Checkpoints, random_generators, rescaled_step


class OneOf(Alone):
    """The primary of several workers, all of which have its values."""

    def __init__(self, size: int):
        self.size = size

    def gather(self, tensor):
        return tf.concat([tensor * (rank + 1) for rank in range(self.size)], 0)

    def broadcast(self, variables):
        pass


class Saved:
    """A model of one weight, and one local variable.

    Args:
      folder: of checkpoints.
      size: number of workers.
      length: of the local variable.
      samples: per step.
    """

    def __init__(self, folder: Path, size: int = 1, length: int = 2, samples: int = 8):
        self.model = keras.Sequential([keras.layers.Dense(1, use_bias=False, input_shape=(1,))])
        self.optimizer = keras.optimizers.SGD(0.1, jit_compile=False)
        self.optimizer.build(self.model.trainable_variables)
        self.local, self.adopted = tf.Variable(tf.zeros([length])), []
        self.checkpoints = Checkpoints(
            folder,
            self.model,
            self.optimizer,
            local_state=[self.local],
            adopt=self.adopted.extend,
            workers=OneOf(size),
            samples_per_step=samples,
        )


@pytest.mark.parametrize(
    ('step', 'samples', 'new_samples', 'rescaled'),
    [(100, 256, 512, 50), (100, 512, 256, 200), (7, 8, 16, 3), (7, 8, 8, 7), (10, 96, 64, 15), (0, 1, 2, 0)],
)
def test_steps_by_hand(step, samples, new_samples, rescaled):
    assert rescaled_step(step, samples, new_samples) == rescaled


def test_values_come_back_to_the_same_number_of_workers(tmp_path):
    one = Saved(tmp_path, size=3)
    one.model.set_weights([np.array([[5.0]])])
    one.optimizer.iterations.assign(12)
    one.local.assign([1.0, 2.0])
    one.checkpoints.save()
    two = Saved(tmp_path, size=3)
    assert two.checkpoints.restore('x') == 12
    assert two.model.get_weights()[0] == 5 and two.local.numpy().tolist() == [1, 2] and not two.adopted


@pytest.mark.parametrize('length', [2, 5])
def test_other_workers_adopt_the_local_values_of_all(tmp_path, length):
    one = Saved(tmp_path, size=3)
    one.optimizer.iterations.assign(12)
    one.local.assign([1.0, 2.0])
    one.checkpoints.save()
    two = Saved(tmp_path, size=2, length=length, samples=4)
    assert two.checkpoints.restore('x') == 24
    assert [state.tolist() for state in two.adopted] == [[[1, 2], [2, 4], [3, 6]]]
    two.checkpoints.save()
    assert Saved(tmp_path, size=2, length=length, samples=4).checkpoints.restore('x') == 24


def test_without_a_checkpoint_nothing_changes(tmp_path):
    saved = Saved(tmp_path)
    saved.local.assign([3.0, 4.0])
    assert saved.checkpoints.restore('x') == 0
    assert saved.local.numpy().tolist() == [3, 4] and not saved.adopted


def two_checkpoints(folder: Path) -> None:
    """Of steps 5 and 6, in which the weight is 5 and 6; that of step 4 is gone."""
    one = Saved(folder)
    for step in (4, 5, 6):
        one.model.set_weights([np.array([[float(step)]])])
        one.optimizer.iterations.assign(step)
        one.checkpoints.save()


def damage(file: Path, kind: str) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    {
        'nonsense': lambda: file.write_bytes(b'nonsense'),
        'cut': lambda: file.write_bytes(content[: len(content) // 2]),
        'one bit': lambda: file.write_bytes(content),
        'missing': file.unlink,
    }[kind]()


KINDS = ('nonsense', 'cut', 'one bit', 'missing')
FILES = ('ckpt-6.index', 'ckpt-6.data-00000-of-00001')


def test_two_checkpoints_are_kept(tmp_path):
    two_checkpoints(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f'ckpt-{step}.{end}' for step in (5, 6) for end in ('index', 'data-00000-of-00001')
    }
    restored = Saved(tmp_path)
    assert restored.checkpoints.restore('x') == restored.model.get_weights()[0] == 6


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('name', FILES)
def test_the_older_checkpoint_takes_the_place_of_a_damaged_one(tmp_path, name, kind, caplog, capfd):
    two_checkpoints(tmp_path)
    damage(tmp_path / name, kind)
    restored = Saved(tmp_path)
    with caplog.at_level(python_logging.INFO, logger='absl'):
        assert restored.checkpoints.restore('x') == restored.model.get_weights()[0] == 5
    warning, info = caplog.records
    assert f'{tmp_path}/ckpt-6: damaged checkpoint (' in warning.message
    assert warning.message.endswith('going on from the one before') and 'continuing from step 5' in info.message
    restored.checkpoints.save()  # the damaged one is not in the way
    del restored
    gc.collect()  # TensorFlow complains of what was not restored when it is deleted
    assert 'WARNING' not in caplog.text.replace(warning.levelname, '', 1) and 'WARNING' not in capfd.readouterr().err


@pytest.mark.parametrize('kind', KINDS)
def test_damage_of_all_is_named(tmp_path, kind):
    two_checkpoints(tmp_path)
    for file in tmp_path.glob('ckpt-*.data*'):
        damage(file, kind)
    with pytest.raises(
        PocketFlowError,
        match=f'^{tmp_path}/ckpt-5: damaged checkpoint .+, and no other one is intact; '
        f'delete the folder {tmp_path} to train the stage again$',
    ) as raised:
        Saved(tmp_path).checkpoints.restore('x')
    assert '\n' not in str(raised.value) and '{{' not in str(raised.value)


def test_a_checkpoint_of_something_else_is_named(tmp_path):
    two_checkpoints(tmp_path)
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(1,))])
    optimizer = keras.optimizers.SGD(0.1, jit_compile=False)
    optimizer.build(model.trainable_variables)
    with pytest.raises(PocketFlowError, match='damaged checkpoint .*bias.* delete the folder'):
        Checkpoints(tmp_path, model, optimizer).restore('x')


def test_the_checkpoints_of_before_are_read(tmp_path):
    saved = Saved(None)
    saved.optimizer.iterations.assign(3)
    manager = tf.train.CheckpointManager(saved.checkpoints._checkpoint, str(tmp_path), max_to_keep=2)
    manager.save(3)
    (tmp_path / 'checkpoint').write_text('no such thing')  # TensorFlow's list
    assert Saved(tmp_path).checkpoints.restore('x') == 3


def test_each_worker_draws_its_own_random_numbers_and_goes_on_with_them(tmp_path):
    def draws(rank: int, count: int) -> list[float]:
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dropout(0.5)(inputs))
        optimizer = keras.optimizers.SGD(0.1, jit_compile=False)
        optimizer.build(model.trainable_variables)
        workers = OneOf(2)
        workers.rank = rank
        checkpoints = Checkpoints(tmp_path, model, optimizer, workers=workers)
        checkpoints.restore('x')
        drawn = [float(random_generators(model)[0].normal([])) for _ in range(count)]
        if count == 3:
            checkpoints.save()
        return drawn

    other = draws(1, 5)
    whole = draws(0, 5)
    begun = draws(0, 3)
    assert begun + draws(0, 2) == whole and not set(other) & set(whole)


def test_the_clock_set_back_costs_nothing(tmp_path):
    two_checkpoints(tmp_path)
    for file in tmp_path.iterdir():
        os.utime(file, (4e9, 4e9))  # in the future, as seen by a clock that was set back since
    again = Saved(tmp_path)
    assert again.checkpoints.restore('x') == 6
    again.optimizer.iterations.assign(7)
    again.checkpoints.save()
    assert Saved(tmp_path).checkpoints.restore('x') == 7
    assert {path.name.split('.')[0] for path in tmp_path.iterdir()} == {'ckpt-6', 'ckpt-7'}


def test_what_a_killed_process_was_writing_goes(tmp_path):
    two_checkpoints(tmp_path)
    before = set(tmp_path.iterdir())
    (tmp_path / 'ckpt-7_temp').mkdir()
    (tmp_path / 'ckpt-7_temp' / 'part-00000-of-00001.index').write_text('x')
    assert Saved(tmp_path).checkpoints.restore('x') == 6
    assert set(tmp_path.iterdir()) == before


def test_a_note_comes_back_with_its_step(tmp_path):
    one = Saved(tmp_path)
    for step in (1, 2):
        one.optimizer.iterations.assign(step)
        one.checkpoints.note = f'of step {step}'
        one.checkpoints.save()
    (tmp_path / 'ckpt-2.index').write_bytes(b'nonsense')
    again = Saved(tmp_path)
    assert (again.checkpoints.restore('x'), again.checkpoints.note) == (1, 'of step 1')
    saved = Saved(None)
    saved.optimizer.iterations.assign(3)
    saved.checkpoints._former.write(str(tmp_path / 'ckpt-3'))  # former versions wrote none
    assert (again.checkpoints.restore('x'), again.checkpoints.note) == (3, '')
