"""The runtime: what requests become, what is refused, batches, state; with a stand-in for MLServer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from pocketflow.utils.export.runner import LiteRtRunner
from tests.utils.serving.conftest import LABELS, Files, InferenceError, Record


def item(shape: list[int], datatype: str, data: Any, name: str = 'values') -> Record:
    return Record(name=name, shape=shape, datatype=datatype, data=Record(root=data))


@pytest.fixture
def int8(runtime) -> Any:
    return runtime.Port('values', 0, np.dtype(np.int8), (2,), 0.5, -10)


@pytest.fixture
def float32(runtime) -> Any:
    return runtime.Port('values', 0, np.dtype(np.float32), (2,))


@pytest.mark.parametrize(
    ('datatype', 'data', 'codes'),
    [
        ('FP32', [1.0, -1.0], [[-8, -12]]),
        ('FP64', [[0.24, 0.26]], [[-10, -9]]),  # nested; rounded to the nearest code
        ('FP32', [1000, -1000], [[127, -128]]),  # clipped
        ('INT8', [5, -128], [[5, -128]]),  # codes as they are
    ],
)
def test_inputs_of_a_quantized_file_are_real_numbers_or_codes(runtime, int8, datatype, data, codes):
    values = runtime.read_input(int8, [1, 2], datatype, data, 4)
    assert int8.codes(values).dtype == np.int8 and int8.codes(values).tolist() == codes


def test_outputs_are_the_real_numbers_of_the_codes(int8):
    values = int8.values(np.array([[-8, 127]], np.int8))
    assert values.dtype == np.float32 and values.tolist() == [[1.0, 68.5]]


@pytest.mark.parametrize(
    ('shape', 'datatype', 'data', 'message'),
    [
        ([1, 2], 'UINT8', [1, 2], 'datatype UINT8; accepted: FP32, FP64, INT8'),
        ([2], 'FP32', [1, 2], r'shape \[2\]; accepted: \[-1, 2\]'),
        ([0, 2], 'FP32', [], r'shape \[0, 2\]'),
        ([-1, 2], 'FP32', [1, 2], r'shape \[-1, 2\]'),
        ([5, 2], 'FP32', [0] * 10, '5 samples in one request; at most 4'),
        ([1, 2], 'FP32', [1, 2, 3], r'data of 3 values; shape \[1, 2\] has 2 values'),
        ([2, 2], 'FP32', [[1, 2, 3, 4]], r'data of shape \[1, 4\]'),
        ([1, 2], 'FP32', [[1], [2, 3]], 'needs a list of numbers'),
        ([1, 2], 'FP32', ['1', '2'], 'needs a list of numbers'),
        ([1, 2], 'FP32', [None, 1], 'needs a list of numbers'),
        ([1, 2], 'FP32', [True, False], 'needs a list of numbers'),
        ([1, 2], 'FP32', {'a': 1}, 'needs a list of numbers'),
        ([1, 2], 'FP32', [float('nan'), 1], 'not finite'),
        ([1, 2], 'FP32', [1e300, 1], 'not finite numbers of FP32'),
        ([1, 2], 'INT8', [1.5, 1], 'INT8 needs a list of whole numbers'),
        ([1, 2], 'INT8', [float('nan'), 1], 'whole numbers'),
        ([1, 2], 'INT8', [128, 1], 'INT8 holds numbers from -128 to 127'),
        ([1, 2], 'INT8', [2**70, 1], 'whole numbers'),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(runtime, int8, shape, datatype, data, message):
    with pytest.raises(InferenceError, match=message) as raised:
        runtime.read_input(int8, shape, datatype, data, 4)
    assert '\n' not in str(raised.value) and len(str(raised.value)) < 200


def test_float_files_take_no_integers_and_pixels_no_floats(runtime, float32):
    pixels = runtime.Port('values', 0, np.dtype(np.uint8), (2,), 1 / 255, 0)
    assert float32.accepted == ('FP32', 'FP64') and pixels.accepted == ('UINT8',)
    assert pixels.codes(runtime.read_input(pixels, [1, 2], 'UINT8', [0, 255], 4)).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ('items', 'message'),
    [
        ([], 'inputs: none; the model takes each of these once: a, b'),
        ([item([1, 2], 'FP32', [1, 2], 'a')], 'inputs: a;'),
        ([item([1, 2], 'FP32', [1, 2], name) for name in 'aba'], 'inputs: a, b, a;'),
        ([item([1, 2], 'FP32', [1, 2], 'a'), item([2, 2], 'FP32', [0] * 4, 'b')], 'number of samples: a 1, b 2'),
    ],
)
def test_inputs_are_complete_and_of_one_size(runtime, items, message):
    ports = {name: runtime.Port(name, 0, np.dtype(np.float32), (2,)) for name in 'ab'}
    with pytest.raises(InferenceError, match=message):
        runtime.read_request(items, ports, 4)


def settings(path: Any, **extra: Any) -> Record:
    return Record(name='model', parameters=Record(uri=str(path), version='1', extra=extra))


def answers(runtime: Any, path: Any, requests: list[Record], **extra: Any) -> list[Any]:
    """The answers to requests that arrive together; errors are returned."""

    async def ask() -> list[Any]:
        model = runtime.PocketFlowModel(settings(path, **extra))
        assert await model.load()
        found = await asyncio.gather(*map(model.predict, requests), return_exceptions=True)
        await model.unload()
        return found

    return asyncio.run(ask())


def test_requests_are_answered_in_batches_and_wrong_ones_spoil_no_others(runtime, files: Files):
    (files.int8.with_name('labels.txt')).write_text('\n'.join(LABELS))
    samples = np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32)
    requests = [Record(inputs=[item([1, 4], 'FP32', sample.tolist())]) for sample in samples]
    requests.insert(2, Record(inputs=[item([1, 4], 'FP32', [1.0])]))
    runtime.mlserver.logged.clear()
    found = answers(runtime, files.int8, requests, max_batch_size=3, labels='labels.txt')
    assert isinstance(found.pop(2), InferenceError)
    expected = LiteRtRunner(files.int8).predict(samples, batch_size=1)
    for answer, values in zip(found, expected, strict=True):
        scores, labels = answer.outputs
        assert (scores.name, scores.shape, scores.datatype) == ('scores', [1, 3], 'FP32')
        assert np.array_equal(np.array(scores.data, np.float32), values)
        assert labels.datatype == 'BYTES' and labels.data == [LABELS[int(np.argmax(values))].encode()]
    sizes = [int(entry['pocketflow_batch_samples']) for entry in runtime.mlserver.logged]
    assert len(sizes) == 6 and max(sizes) == 3


def test_outputs_may_be_chosen_and_raw(runtime, files: Files):
    request = Record(
        inputs=[item([2, 4], 'INT8', list(range(8)))], outputs=[Record(name='scores', parameters=Record(raw=True))]
    )
    unknown = Record(inputs=request.inputs, outputs=[Record(name='other')])
    answer, error = answers(runtime, files.int8, [request, unknown])
    (scores,) = answer.outputs
    assert scores.datatype == 'INT8' and scores.shape == [2, 3] and all(type(code) is int for code in scores.data)
    assert 'outputs: other is unknown; the model gives scores' in str(error)


def test_no_sample_sees_the_state_of_another(runtime, files: Files):
    request = Record(inputs=[item([2, 2], 'FP32', [1, 2, 3, 4], 'x')])
    first, second = answers(runtime, files.resource, [request, request], state='resources')
    assert first.outputs[0].data == second.outputs[0].data == [1, 2, 3, 4]
    program = runtime.Program(str(files.resource))  # without the state being known, it leaks: the test can fail
    program({'x': np.zeros((1, 2), np.float32)})
    assert program({'x': np.zeros((1, 2), np.float32)})['y'].tolist() != [[0, 0]]


def test_a_failure_of_the_interpreter_is_told_to_all_that_wait(runtime):
    def fail(_: Any) -> Any:
        raise RuntimeError('out of memory\nand more')

    async def ask() -> list[Any]:
        batcher = runtime.Batcher(fail, 4, 0.01)
        return await asyncio.gather(*(batcher({'a': np.zeros((1, 1))}) for _ in range(2)), return_exceptions=True)

    assert [str(error) for error in asyncio.run(ask())] == ['the model cannot be run: out of memory'] * 2


def test_requests_that_wait_are_joined_up_to_the_limit(runtime):
    sizes, free = [], threading.Event()

    def run(inputs: Any) -> Any:
        free.wait(5)
        sizes.append(len(inputs['a']))
        return inputs

    async def ask() -> list[Any]:
        batcher = runtime.Batcher(run, 4, 0.0)
        tasks = [asyncio.create_task(batcher({'a': np.full((size, 1), size)})) for size in (1, 2, 2, 3, 5)]
        await asyncio.sleep(0.02)
        tasks[1].cancel()  # a client that leaves
        free.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(ask())
    assert sum(sizes) == 13 and max(sizes) == 5 and all(size <= 4 for size in sizes if size != 5)
    assert isinstance(found[1], asyncio.CancelledError)
    assert [found[number][0]['a'].ravel().tolist() for number in (0, 2, 3, 4)] == [[1], [2] * 2, [3] * 3, [5] * 5]


@pytest.mark.parametrize(
    ('value', 'wanted'), [(True, True), ('true', True), (False, False), (None, False), ('no', False)]
)
def test_parameters_are_flags(runtime, value, wanted):
    assert runtime.wants(Record(raw=value), 'raw') is wanted and runtime.wants(None, 'raw') is False
