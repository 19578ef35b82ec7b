"""Errors of files become one line, wherever they come from."""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path

import pytest
import tensorflow as tf

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.system.storage_failures import ADVICE, storage_failure

OPERATION = '{{function_node __wrapped__SaveV2_dtypes_20_device_/job:localhost/replica:0/task:0/device:CPU:0}} '


def os_error(number: int, *names) -> OSError:
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize('number', ADVICE)
def test_each_refusal_is_one_line_with_path_reason_and_what_is_safe(number):
    line = storage_failure(os_error(number, '/run/report.json'))
    assert line.startswith(f'/run/report.json: {os.strerror(number)}; {ADVICE[number]}: the same command then ')
    assert line.endswith('from the last checkpoint, bit for bit (files are written whole or not at all)')
    assert storage_failure(os_error(number)).startswith(f'a file of this run: {os.strerror(number)}; ')


@pytest.mark.parametrize(
    ('error', 'path'),
    [
        (
            tf.errors.ResourceExhaustedError(
                None,
                None,
                f'{OPERATION}/my run/0-x/checkpoints/.tmp-ab/ckpt-40_temp/part-'
                '00000-of-00001.index.tempstate68; No space left on device [Op:SaveV2]',
            ),
            '/my run/0-x/checkpoints',
        ),
        (
            tf.errors.ResourceExhaustedError(
                None,
                None,
                f'{OPERATION}/run/events/x/events.out.tfevents.1.v2; No space left '
                'on device\n\tFailed to flush 10 events to /run/events/x\n\tCould not flush',
            ),
            '/run/events/x/events.out.tfevents.1.v2',
        ),
        (tf.errors.FailedPreconditionError(None, None, '/run/x; No space left on device'), '/run/x'),
        (
            OSError(
                'Unable to synchronously create file (unable to truncate a file, errno = 28, error message = '
                "'No space left on device')"
            ),
            'a file of this run',
        ),
        (
            RuntimeError("Can't decrement id ref count (file write failed, error message = 'No space left on device')"),
            'a file of this run',
        ),
        (os_error(errno.ENOSPC, '/run/tmp-worker-0/tmpx/saved_model.pb'), '/run'),
        (os_error(errno.ENOSPC, '/run/a', None, '/run/b'), '/run/b'),
        (os_error(errno.ENOSPC, b'/run/\xff'), '/run/\udcff'),
    ],
)
def test_the_words_of_libraries_are_understood(error, path):
    assert storage_failure(error).startswith(f'{path}: No space left on device; make room there: ')
    assert '\n' not in storage_failure(error)


def test_the_cause_of_another_error_counts():
    try:
        try:
            raise os_error(errno.ENOSPC, '/run/model.keras')
        finally:
            raise ValueError("Can't close the ZIP file while there is an open writing handle on it.")
    except ValueError as error:
        assert storage_failure(error).startswith('/run/model.keras: No space left')
    try:
        raise PocketFlowError('no conversion') from tf.errors.UnknownError(None, None, '/run/x; Input/output error')
    except PocketFlowError as error:
        assert storage_failure(error).startswith('/run/x: Input/output error; look after the disk')


@pytest.mark.parametrize(
    'error',
    [
        ValueError('No space left on device'),
        KeyError('x'),
        BrokenPipeError(errno.EPIPE, 'Broken pipe'),
        ConnectionRefusedError(errno.ECONNREFUSED, 'x'),
        OSError('something'),
        PocketFlowError('x'),
        tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating tensor with shape[64,64]'),
    ],
)
def test_other_errors_are_not_explained_away(error):
    assert storage_failure(error) is None


def test_causes_that_go_in_a_circle_end():
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert storage_failure(one) is None


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='no /dev/full on this system')
def test_a_device_that_is_really_full():
    with pytest.raises(OSError) as raised, zipfile.ZipFile('/dev/full', 'w') as archive:
        archive.writestr('a', b'x' * 100_000)
    assert ': No space left on device; make room there' in storage_failure(raised.value)
