"""Reading what benchmark_model prints, in each of the ways in which its versions print it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.device_latency import parse_benchmark, read_device_latencies

FIRST = """Initialized session in 4.0ms
Running benchmark for at least 4 iterations and at least 0.5 seconds
count=7 first=9000 curr=6600 min=6500 max=9000 avg=7000.5 std=900

Running benchmark for at least 10 iterations and at least 1 seconds
count=15 first=6700 curr=6800 min=6650 max=6850 avg=6750.5 std=40

Average inference timings in us: Warmup: 7000.5, Init: 4000, no stats: 6750.5
"""
MIDDLE = """INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds ...
INFO: count=15 first=4900 curr=3300 min=3200 max=4900 avg=3480.2 std=390

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=50 first=3280 curr=3390 min=3260 max=3400 avg=3320.94 std=45{percentiles}

INFO: Inference timings in us: Init: 855, First inference: 4900, Warmup (avg): 3480.2, Inference (avg): 3320.94
INFO: Memory footprint delta from the start of the tool (MB): init=1.5 overall=2.25
"""
NEWEST = """INFO: [benchmark_litert_model.h:92]
========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.h:94] Model initialization: 23.73 ms
INFO: [benchmark_litert_model.h:96] Warmup (first):       7.44 ms
INFO: [benchmark_litert_model.h:98] Warmup (avg):         7.30 ms (3 runs)
INFO: [benchmark_litert_model.h:100] Inference (avg):      7.20 ms (51 runs)
INFO: [benchmark_litert_model.h:104] Inference (min):      7.10 ms
INFO: [benchmark_litert_model.h:106] Inference (max):      7.45 ms
INFO: [benchmark_litert_model.h:108] Inference (std):      0.02
INFO: [benchmark_litert_model.h:115] Throughput:           27.46 MB/s
"""
FORMATS = ('float32', 'int8')
PLAIN = {'mean': 3.32094, 'min': 3.26, 'max': 3.4, 'std': 0.045, 'count': 50}


def test_the_oldest_form():
    assert parse_benchmark(FIRST) == pytest.approx({'mean': 6.7505, 'min': 6.65, 'max': 6.85, 'std': 0.04, 'count': 15})


def test_the_usual_form_with_and_without_percentiles():
    assert parse_benchmark(MIDDLE.format(percentiles='')) == pytest.approx(PLAIN)
    assert parse_benchmark(MIDDLE.format(percentiles=' p5=3265 median=3318 p95=3390')) == pytest.approx(
        {**PLAIN, 'p5': 3.265, 'p50': 3.318, 'p95': 3.39}
    )


def test_the_form_in_milliseconds():
    assert parse_benchmark(NEWEST) == pytest.approx({'mean': 7.2, 'min': 7.1, 'max': 7.45, 'std': 0.02, 'count': 51})


def test_the_form_of_the_python_package():
    text = NEWEST.replace(
        'INFO: [benchmark_litert_model.h:108] ', 'Inference (median):    7.18 ms\nInference (p95): 7.4 ms\n'
    )
    assert parse_benchmark(text) == pytest.approx(
        {'mean': 7.2, 'min': 7.1, 'max': 7.45, 'p50': 7.18, 'p95': 7.4, 'std': 0.02, 'count': 51}
    )


def test_a_single_line_of_the_log_is_enough():
    line = '... tflite  : Inference timings in us: Init: 5685, Warmup (avg): 14462.3, Inference (avg): 1.45e+04'
    assert parse_benchmark(line) == {'mean': 14.5}


def test_runs_of_equal_length_lack_most_figures():
    text = 'count=50 curr=33(all same) p5=33 median=33 p95=33\nInference timings in us: Init: 1, Inference (avg): 33\n'
    assert parse_benchmark(text) == pytest.approx({'mean': 0.033, 'count': 50, 'p5': 0.033, 'p50': 0.033, 'p95': 0.033})


def test_runs_with_another_average_are_not_those_of_the_result():
    text = MIDDLE.format(percentiles='').replace('avg=3320.94', 'avg=9999')
    assert parse_benchmark(text) == pytest.approx({'mean': 3.32094})


@pytest.mark.parametrize(
    ('text', 'mean'),
    [
        (MIDDLE.format(percentiles='') + MIDDLE.format(percentiles='').replace('3320.94', '1000'), 1.0),
        (NEWEST + NEWEST.replace('7.20 ms', '6.00 ms'), 6.0),
    ],
)
def test_the_last_of_several_results_counts(text: str, mean: float):
    assert parse_benchmark(text)['mean'] == mean


def test_a_second_result_takes_nothing_from_the_first():
    assert parse_benchmark(NEWEST + 'Inference (avg):      6.00 ms\n') == {'mean': 6.0}


@pytest.mark.parametrize(
    'text',
    [
        '',
        'count=7 first=9000 curr=6600 min=6500 max=9000 avg=7000.5 std=900',
        'Failed to load model',
        'Inference (min): 3.0 ms',
        'Inference timings in us: Init: 1, Inference (avg): nan',
    ],
)
def test_anything_else_is_refused(text: str):
    with pytest.raises(UsageError, match='holds no result of benchmark_model'):
        parse_benchmark(text)


def test_formats_and_their_files(tmp_path: Path):
    for name, text in (('a b.txt', NEWEST), ('c.txt', FIRST)):
        (tmp_path / name).write_text(text, encoding='utf-8')
    read = read_device_latencies(f'int8={tmp_path}/a b.txt, float32={tmp_path}/c.txt,', FORMATS)
    assert {name: figures['mean'] for name, figures in read.items()} == pytest.approx({'int8': 7.2, 'float32': 6.7505})


@pytest.mark.parametrize(
    ('spec', 'message'),
    [
        ('bench.txt', "'bench.txt' is not FORMAT=FILE; accepted: FORMAT=FILE pairs"),
        ('=x', "'=x' is not FORMAT=FILE"),
        ('int8=', "'int8=' is not FORMAT=FILE"),
        (' , ', 'names no file'),
        ('int8={file},int8={file}', 'names int8 twice'),
        ('int9={file}', "no file of the format 'int9' is exported; there are: float32, int8"),
        ('int8={file}.no', r'int8=.*\.no: cannot be read \(No such file'),
        ('int8={empty}', r'int8=.*empty: holds no result of benchmark_model'),
    ],
)
def test_wrong_specs_are_told_apart(tmp_path: Path, spec: str, message: str):
    file, empty = tmp_path / 'file', tmp_path / 'empty'
    file.write_text(NEWEST, encoding='utf-8')
    empty.write_text('', encoding='utf-8')
    with pytest.raises(UsageError, match='--device_latency.*' + message) as caught:
        read_device_latencies(spec.format(file=file, empty=empty), FORMATS)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'text',
    [
        'Inference timings in us: Init: 855, First inference: 9, Warmup (avg): 9, Inference (avg): 1e999',
        'Average inference timings in us: Warmup: 76605.9, Init: 9933, no stats: 1e400',
        'Inference timings in us: Init: 855, First inference: 9, Warmup (avg): 9, Inference (avg): 0',
        'count=50 first=1 curr=1 min=1e999 avg=33209.4\nInference timings in us: Init: 855, Inference (avg): 33209.4',
        f'Inference (avg): {"9" * 5000} ms (10 runs)',
        f'Inference (avg): 7.5 ms ({"9" * 5000} runs)',
        'Inference (avg): 7.5 ms (10 runs)\nInference (max): 1e309 ms',
    ],
)
def test_figures_that_cannot_be_are_refused_in_one_line(text, tmp_path):
    with pytest.raises(
        UsageError, match='invalid result of benchmark_model: (mean|min|max|count) is (inf|0.0); give the'
    ):
        parse_benchmark(text)
    (tmp_path / 'bench.txt').write_text(text)
    with pytest.raises(UsageError, match='^--device_latency: int8=.*/bench.txt: holds an invalid result') as raised:
        read_device_latencies(f'int8={tmp_path}/bench.txt', ['int8'])
    assert '\n' not in str(raised.value) and len(str(raised.value)) < 400


def test_a_count_is_a_whole_number():
    found = parse_benchmark(
        'count=50 first=1 curr=1 min=1 max=34005 avg=33209.4 std=450\n'
        'Inference timings in us: Init: 855, First inference: 9, Inference (avg): 33209.4'
    )
    assert found['count'] == 50 and isinstance(found['count'], int)
