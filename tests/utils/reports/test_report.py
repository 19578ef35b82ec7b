"""What a person reads of a report on the terminal."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator

import pytest

from pocketflow.nets.tasks import Classification
from pocketflow.utils.reports.report import SCHEMA, SHAPE, format_table, summary
from pocketflow.utils.reports.search.page import search_section
from pocketflow.utils.reports.search.results import SHAPE as SEARCH_SHAPE
from pocketflow.utils.runs.records import parsed


def entry(accuracy: float, size: int, milliseconds: float) -> dict:
    return {
        'metrics': {'loss': 0.5, 'accuracy': accuracy},
        'parameters': size // 4,
        'macs': 10 * size,
        'keras_bytes': size + 1000,
        'file': 'model_float32.tflite',
        'timed_file': 'model_float32.tflite',
        'file_bytes': size,
        'file_metrics': {'accuracy': accuracy},
        'latency_ms': {'p50': milliseconds, 'p90': milliseconds},
        'latency_ms_all_threads': {'p50': 1.0, 'p90': 1.0},
    }


def stage(learner: str, before: float, after: float, sparsity: float, bits: float) -> dict:
    return {
        'learner': learner,
        'metrics_compressed': {'accuracy': before},
        'metrics': {'accuracy': after},
        'parameters': 30_000,
        'macs': 1_200_000,
        'sparsity': sparsity,
        'bits': bits,
    }


REPORT = {
    'schema': SCHEMA,
    'model': 'lenet',
    'dataset': 'digits',
    'task': Classification().to_json(),
    'learners': ['chn-pruned-rmt', 'uniform'],
    'baseline': entry(0.98, 480_000, 2.0),
    'compressed': entry(0.975, 120_000, 0.5),
    'exports': [
        {
            'path': 'model_int8.tflite',
            'bytes': 40_000,
            'size_ratio': 12.0,
            'gzip_bytes': 30_000,
            'metrics': {'accuracy': 0.97},
            'same_answers': 0.995,
            'max_abs_diff': 0.0123,
            'latency_ms': {'p50': 0.4},
            'speedup_vs_uncompressed': 5.0,
        }
    ],
    'stages': [stage('chn-pruned-rmt', 0.9, 0.98, 0.25, 32), stage('uniform', 0.97, 0.975, 0.5, 4)],
    'layers': [
        {
            'layer': 'conv2',
            'type': 'Conv2D',
            'inputs': [32, 16],
            'outputs': [64, 32],
            'macs': [819_200, 204_800],
            'parameters': [51_264, 12_832],
            'note': '',
        }
    ],
    'verdict': {'smaller': True, 'faster': True, 'metric_drop': 0.005, 'size_ratio': 4.0, 'speedup': 4.0},
}

TEXT = """\
lenet at digits, chn-pruned-rmt then uniform

layer  inputs    outputs   MACs                parameters        note
conv2  16 of 32  32 of 64  819,200 -> 204,800  51,264 -> 12,832
total                      819,200 -> 204,800  51,264 -> 12,832  25.0 % of the MACs left

stage           accuracy before tuning  accuracy  parameters       MACs   zeros  bits per weight
chn-pruned-rmt                  0.9000    0.9800      30,000  1,200,000  25.0 %            32.00
uniform                         0.9700    0.9750      30,000  1,200,000  50.0 %             4.00

                          uncompressed  compressed
accuracy                        0.9800      0.9750  -0.50 points
parameters                     120,000      30,000    4.00x less
MACs                         4,800,000   1,200,000    4.00x less
.keras file, bytes             481,000     121,000    3.98x less
.tflite file, bytes            480,000     120,000    4.00x less
latency p50, one thread       2.000 ms    0.500 ms  4.00x faster
latency p50, all threads      1.000 ms    1.000 ms       as fast

file                bytes  smaller  gzipped  accuracy  same top-1  max diff  p50 ms  speed-up
model_int8.tflite  40,000   12.00x   30,000    0.9700     99.50 %     0.012   0.400     5.00x

verdict: smaller (4.00x), faster (4.00x), accuracy drop 0.50 points; \
measured on the exported file; 25.0 % of the MACs left"""


PIXELS = '.tflite files take uint8 pixels, and normalise them'
SOFTMAX = 'all end as the original network: softmax'


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_the_whole_text():
    assert lines(summary(REPORT)) == TEXT.splitlines()


def test_bad_news_is_not_dressed_up():
    report = copy.deepcopy(REPORT)
    report['compressed'] = entry(0.99, 960_000, 3.0)
    text = summary(report)
    assert '1.50x SLOWER' in text and '0.50x less' in text and '+1.00 points' in text


def test_equal_numbers_are_the_same():
    report = copy.deepcopy(REPORT)
    report['compressed'] = {**copy.deepcopy(report['baseline']), 'latency_ms': {'p50': 1.96}}
    report['compressed']['metrics']['accuracy'] -= 1e-6
    text = lines(summary(report))
    assert [' '.join(line.split()[-2:]) for line in text[11:17]] == [
        '0.00 points',
        '120,000 same',
        '4,800,000 same',
        '481,000 same',
        '480,000 same',
        'as fast',
    ]


def test_nothing_compressed_has_no_verdict_and_no_layers():
    report = {**REPORT, 'verdict': None, 'layers': [], 'compressed': REPORT['baseline']}
    text = summary(report)
    assert 'verdict' not in text and 'conv2' not in text
    assert lines(text)[6:9] == [
        '                          uncompressed',
        'accuracy                        0.9800',
        'parameters                     120,000',
    ]
    assert lines(text)[-1].startswith('model_int8.tflite')


def test_speeds_that_are_not_clear_are_given_as_intervals():
    report = copy.deepcopy(REPORT)
    report['compressed'].update(
        latency_ms={'p50': 1.8}, speedup_interval=[0.8, 1.4], speedup_interval_all_threads=[0.99, 1.02]
    )
    report['exports'][0].update(speedup_vs_uncompressed=1.11, speedup_interval=[0.8, 1.4])
    text = lines(summary(report))
    assert [line.split('ms', 2)[-1].strip() for line in text if line.startswith('latency')] == [
        'not clearly faster (0.80x to 1.40x)',
        'as fast',
    ]
    assert text[-3].endswith('0.400  0.80x to 1.40x')


def test_macs_that_are_not_counted_are_named():
    report = copy.deepcopy(REPORT)
    report['baseline']['macs_not_counted'] = {'attend': ['While'], 'fold': ['PyFunc', 'FFT2D']}
    report['compressed']['macs_not_counted'] = {'attend': ['While']}
    assert 'MACs of attend (While), fold (PyFunc, FFT2D) not counted: there is no formula for them' in lines(
        summary(report)
    )


@pytest.mark.parametrize(
    ('files', 'line'),
    [
        ({'input': 'uint8', 'head': 'given', 'outputs': 'softmax'}, '; '.join((PIXELS, SOFTMAX))),
        ({'input': 'uint8', 'head': 'given', 'outputs': 'logits'}, PIXELS),
        ({'input': 'normalised', 'head': 'given', 'outputs': 'softmax'}, SOFTMAX),
        ({'input': 'normalised', 'head': 'logits', 'outputs': 'logits'}, None),
    ],
)
def test_what_files_take_and_give_is_said_unless_it_is_the_usual(files, line):
    found = [one for one in lines(summary({**REPORT, 'files': files})) if one in (PIXELS, SOFTMAX, line)]
    assert found == ([line] if line else [])


def test_a_container_has_no_speed():
    report = copy.deepcopy(REPORT)
    report['compressed'].update(file='model.pfz', timed_file=None, latency_ms=None, latency_ms_all_threads=None)
    report['exports'][0].update(path='model.pfz', latency_ms=None, speedup_vs_uncompressed=None)
    report['verdict'].update(faster=None, speedup=None)
    text = lines(summary(report))
    assert '.tflite / .pfz file, bytes 480,000 120,000 4.00x less' in [' '.join(line.split()) for line in text]
    assert text[-3].split()[-2:] == ['-', '-'] and text[-1].startswith('verdict: smaller (4.00x model.pfz), speed not')
    assert sum(line.endswith('not measured') for line in text) == 2


def test_what_a_device_took_has_a_column():
    report = copy.deepcopy(REPORT)
    report['exports'][0]['device_latency_ms'] = {'mean': 7.4302}
    text = lines(summary(report))
    assert text[-4].endswith('speed-up  device ms') and text[-3].endswith('5.00x      7.430')


def test_searches_stand_before_the_verdict(layer_search):
    text = lines(summary({**REPORT, 'searches': [layer_search, layer_search]}))
    found = '0.8610 (uniform) -> 0.8740 (trial 4) on the validation samples'
    assert text[-5:-1] == ['', *2 * [f'search: sparsity by ddpg, 6 trials in 13 min 32 s: {found}'], '']
    assert lines(summary({**REPORT, 'searches': []})) == TEXT.splitlines()


def test_columns_are_as_wide_as_their_widest_cell():
    assert format_table([('a', 'bb'), ('ccc', 'd')]) == 'a    bb\nccc   d'


def places(value, here: tuple = ()) -> Iterator[tuple]:
    """The way to each value within a record."""
    yield here
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*here, key))


def damaged(value, way: tuple, replacement):
    """The record with another value at one place; with `...`, without that place."""
    if not way:
        return replacement
    found = copy.deepcopy(value)
    holder = found
    for key in way[:-1]:
        holder = holder[key]
    if replacement is ...:
        del holder[way[-1]]
    else:
        holder[way[-1]] = replacement
    return found


REPLACEMENTS = (..., None, True, 0, -1, 10**400, math.inf, math.nan, 'x', [], [[]], {})


def check_every_damage(record: dict, shape: dict, use) -> None:
    """Each damaged record is either refused, or used without an error."""
    assert parsed(json.dumps(record).encode(), shape) == record
    num_refused = 0
    for way in places(record):
        for replacement in REPLACEMENTS[not way :]:
            content = (
                json.dumps(damaged(record, way, replacement)).encode()
                if replacement != 10**400
                else (json.dumps(damaged(record, way, 'HUGE')).replace('"HUGE"', '1' + '0' * 400).encode())
            )
            entry = parsed(content, shape)
            num_refused += entry is None
            if entry is not None:
                use(entry)
    assert num_refused


def test_no_damage_of_a_report_is_a_traceback():
    report = {
        **REPORT,
        'command': 'python main.py',
        'searches': [],
        'stages': REPORT['stages'][:1],
        'exports': [{**REPORT['exports'][0], 'format': 'int8', 'device_latency_ms': {'mean': 3.2}}],
        'layers': [{**REPORT['layers'][0], 'sparsity': [0.0, 0.5], 'bits': [32, 4]}],
    }
    check_every_damage(report, SHAPE, summary)


@pytest.mark.parametrize('name', ['layer_search', 'flag_search', 'costly_search'])
def test_no_damage_of_a_search_is_a_traceback(name, request):
    entry = request.getfixturevalue(name)
    check_every_damage({**entry, 'trials': entry['trials'][:2]}, SEARCH_SHAPE, search_section)
