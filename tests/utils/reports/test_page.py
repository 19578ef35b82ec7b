"""The report as a page: everything is on it, nothing is executed, and nothing else is needed to read it."""

import copy
import html.parser
import re
from pathlib import Path

import pytest
import setuptools

from pocketflow.nets.tasks import Classification, Regression
from pocketflow.utils.reports.page import comparison, metric_names, operator_table, render, verdict_cards, write_page
from pocketflow.utils.system import atomic
from pocketflow.utils.tasks.metric import ACCURACY, Metric

ROOT = Path(__file__).parents[3]
VOID = {'meta', 'br', 'hr', 'img', 'link', 'input'}


LEFT = {'parameters': 273_914, 'macs': 41_000_000, 'sparsity': 0.25, 'bits': 4.5}


def latency(p50):
    return {'p50': p50, 'p90': 1.1 * p50}


def entry(accuracy, file_bytes, p50):
    return {
        'metrics': {'loss': 0.4, 'accuracy': accuracy},
        'parameters': 273_914,
        'macs': 41_000_000,
        'keras_bytes': 1_200_000,
        'file': 'model_float32.tflite',
        'timed_file': 'model_float32.tflite',
        'file_bytes': file_bytes,
        'file_metrics': {'accuracy': accuracy},
        'latency_ms': latency(p50),
        'latency_ms_all_threads': latency(0.6 * p50),
    }


def export(file_format, file_bytes, p50):
    return {
        'format': file_format,
        'path': f'model_{file_format}.tflite',
        'bytes': file_bytes,
        'gzip_bytes': 400_001,
        'size_ratio': 1_100_000 / file_bytes,
        'metrics': {'accuracy': 0.863},
        'max_abs_diff': 1.3e-5,
        'relative_max_abs_diff': 4.2e-7,
        'same_answers': 0.9999,
        'latency_ms': latency(p50),
        'latency_ms_all_threads': latency(0.6 * p50),
        'speedup_vs_uncompressed': 1.9 / p50,
        'operators': {'ADD': 9, 'CONV_2D': 22},
    }


@pytest.fixture
def report():
    layers = [
        {
            'layer': 'stem',
            'type': 'Conv2D',
            'inputs': [3, 3],
            'outputs': [16, 12],
            'macs': [442_368, 331_776],
            'parameters': [432, 324],
            'note': 'skipped because: first convolution',
        },
        {'layer': 'logits', 'type': 'Dense', 'macs': [640, 640], 'parameters': [650, 650], 'note': ''},
    ]
    return {
        'schema': 2,
        'model': 'resnet_20',
        'dataset': 'cifar_10',
        'task': Classification().to_json(),
        'learners': ['chn-pruned-rmt'],
        'seed': 7,
        'command': 'python main.py --model=resnet_20 --seed=7',
        'versions': {'tensorflow': '2.21.0'},
        'machine': {'processor': 'Some Processor', 'cores': 2},
        'baseline': entry(0.871, 1_100_000, 1.9),
        'compressed': entry(0.863, 458_000, 1.27),
        'stages': [
            {
                'learner': 'chn-pruned-rmt',
                'metrics_compressed': {'loss': 1.02, 'accuracy': 0.68},
                'metrics': {'loss': 0.44, 'accuracy': 0.863},
                **LEFT,
            }
        ],
        'exports': [export('float32', 458_000, 1.27), export('int8', 142_000, 0.83)],
        'layers': layers,
        'seconds': {'train': 125.0, 'export': 12.3},
        'verdict': {'smaller': True, 'faster': True, 'metric_drop': 0.008, 'size_ratio': 2.4017, 'speedup': 1.4961},
    }


@pytest.fixture
def uncompressed(report):
    return {
        **report,
        'learners': ['full-prec'],
        'verdict': None,
        'layers': [],
        'compressed': report['baseline'],
        'stages': [{'learner': 'full-prec', 'metrics_compressed': None, 'metrics': {'accuracy': 0.871}, **LEFT}],
    }


class Reader(html.parser.HTMLParser):
    """Elements, attributes and visible text of a page; fails where a tag is not closed in its place."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if 'style' not in self.open:
            self.words += data.split()

    @property
    def text(self):
        return ' '.join(self.words)

    def values(self, attribute):
        return [value for name, value in self.attributes if name == attribute]


def broken(report):
    report = copy.deepcopy(report)
    report['compressed'].update(file_bytes=2_200_000, latency_ms=latency(3.8))
    report['verdict'] = {'smaller': False, 'faster': False, 'metric_drop': 0.039, 'size_ratio': 0.5, 'speedup': 0.5}
    return report


def test_page_says_what_was_done_and_measured(report):
    text = Reader(render(report)).text
    for words in (
        'resnet_20 at cifar_10',
        'chn-pruned-rmt',
        'Smaller 2.40× less: 1.10 MB → 458 kB',
        'Faster 1.50× less: 1.900 ms → 1.270 ms',
        'Drops 0.80 points 87.10 % → 86.30 %, within one point',
        'parameters 273,914',
        'exported file, bytes 1,100,000 458,000 2.40× less',
        'latency p90, all threads 1.254 ms 0.838 ms',
        'skipped because: first convolution',
        'stem Conv2D 3 of 3 12 of 16 442,368 331,776 432 324',
        'total 443,008 332,416 1,082 974 75.0 % of the',
        'chn-pruned-rmt 68.00 % 86.30 % 1.0200 0.4400 273,914 41,000,000 25.00 % 4.50',
        'model_int8.tflite 142,000 7.75× 400,001 86.30 % 99.99 % 1.3e-05 4.2e-07 0.830 0.913 0.498 2.29×',
        'CONV_2D 22 22',
        'train 2 min 5 s 91 %',
        'total 2 min 17 s',
        'python main.py --model=resnet_20 --seed=7',
        'seed 7',
        'tensorflow 2.21.0',
        'processor Some Processor',
    ):
        assert words in text, words


def test_charts_show_every_file_and_layer(report):
    page = render(report)
    charts = re.findall(r'<svg.*?</svg>', page, re.DOTALL)
    assert len(charts) == 3
    for chart in charts[:2]:
        assert all(f'>{name}</text>' in chart for name in ('uncompressed', 'float32', 'int8'))
    assert charts[2].count('<rect') == 4
    assert '442 k → 332 k' in charts[2]


def test_page_needs_nothing_but_itself(report):
    page = render(report)
    reader = Reader(page)
    assert not {'script', 'link', 'img', 'iframe', 'object', 'base'} & set(reader.tags)
    assert not re.search(r'https?:|url\(|@import|src=', page)
    assert "default-src 'none'; style-src 'unsafe-inline'" in reader.values('content')


def test_page_can_be_read_by_everybody(report):
    page = render(report)
    reader = Reader(page)
    identifiers = reader.values('id')
    assert len(identifiers) == len(set(identifiers))
    named = [word for value in reader.values('aria-labelledby') for word in value.split()]
    assert named
    assert set(named) <= set(identifiers)
    assert reader.values('role').count('img') == 3
    assert reader.values('lang') == ['en']
    assert 'prefers-color-scheme: dark' in page
    assert '@media print' in page


@pytest.mark.parametrize(
    'place',
    [
        'model',
        'command',
        'learner',
        'layer',
        'note',
        'path',
        'format',
        'operator',
        'version',
        'machine',
        'metric',
        'part',
    ],
)
def test_everything_is_escaped(report, place):
    evil = '"\'><script>alert(1)</script>'
    changes = {
        'model': (report, 'model'),
        'command': (report, 'command'),
        'learner': (report['stages'][0], 'learner'),
        'layer': (report['layers'][0], 'layer'),
        'note': (report['layers'][0], 'note'),
        'path': (report['exports'][0], 'path'),
        'format': (report['exports'][0], 'format'),
    }
    if place in changes:
        where, key = changes[place]
        where[key] = evil
    else:
        {
            'operator': report['exports'][0]['operators'],
            'version': report['versions'],
            'machine': report['machine'],
            'metric': report['stages'][0]['metrics'],
            'part': report['seconds'],
        }[place][evil] = 1
    reader = Reader(render(report))
    assert 'script' not in reader.tags
    assert '<script>alert(1)</script>' in reader.text.replace(' ', '')


def test_a_container_has_no_speed(report):
    report['exports'].insert(
        0,
        {
            **export('pfz', 90_000, 1),
            'path': 'model.pfz',
            'latency_ms': None,
            'latency_ms_all_threads': None,
            'speedup_vs_uncompressed': None,
            'operators': {},
        },
    )
    report['compressed'].update(file='model.pfz', file_bytes=90_000)
    text = Reader(render(report)).text
    assert 'model.pfz 90,000 12.22× 400,001 86.30 % 99.99 % 1.3e-05 4.2e-07 – – – –' in text
    assert 'Measured on the exported file model.pfz (speed: model_float32.tflite), against' in text
    report['compressed'].update(latency_ms=None, latency_ms_all_threads=None)
    report['verdict'].update(faster=None, speedup=None)
    card = verdict_cards(report)[1]
    assert (card.words, card.state) == ('Not measured', '') and 'latency p50' not in Reader(render(report)).text


def test_sparsity_and_bits_have_columns_if_a_learner_touched_them(report):
    assert 'note stem' not in Reader(render(report)).text.replace('bits', '')
    report['layers'][0].update(bits=[32, 4])
    text = Reader(render(report)).text
    assert 'parameters bits note' in text and '432 324 32 -> 4 skipped because' in text


def test_columns_that_say_nothing_are_left_out(report):
    for row in report['layers']:
        row.pop('inputs', None), row.pop('outputs', None)
        row.update(macs=[640, 640], parameters=[650, 650], note='')
    page = render(report)
    text = Reader(page).text
    assert 'layer type MACs parameters before after before after stem Conv2D 640 640 650 650' in text
    assert 'channels kept' not in text and 'inputs kept' not in text and 'of the MACs left' not in text
    assert 'total 1,280 1,280 1,300 1,300' in text
    report['layers'][0]['note'] = 'skipped because: x'
    assert 'layer type MACs parameters note before after before after stem' in Reader(render(report)).text


def test_speeds_that_differ_by_chance_are_neither_good_nor_bad(report):
    report['compressed'].update(latency_ms=latency(1.88), latency_ms_all_threads=latency(0.5))
    report['verdict'].update(faster=False, speedup=1.0106)
    card = verdict_cards(report)[1]
    assert (card.words, card.detail, card.state) == ('As fast', '1.01× less: 1.900 ms → 1.880 ms', '')
    row = next(row for row in comparison(report) if row.label == 'latency p50, one thread')
    assert (row.change, row.state) == ('as fast', '')


def test_speeds_that_are_not_clear_are_given_as_intervals(report):
    report['compressed'].update(speedup_interval=[0.9, 1.6], speedup_interval_all_threads=None)
    card = verdict_cards(report)[1]
    assert (card.words, card.state) == ('Not clearly faster', '') and card.detail.startswith('0.90x to 1.60x: 1.900 ms')
    rows = {row.label: row.change for row in comparison(report)}
    assert rows['latency p50, one thread'] == 'not clearly faster' and 'faster' in rows['latency p50, all threads']


def test_macs_that_are_not_counted_are_named(report):
    report['baseline']['macs_not_counted'] = {'attend': ['While']}
    assert 'MACs of attend (While) not counted: there is no formula for them.' in Reader(render(report)).text


def test_what_a_device_took_has_a_column(report):
    assert 'on the device' not in Reader(render(report)).text
    report['exports'][1]['device_latency_ms'] = {'mean': 7.4302}
    text = Reader(render(report)).text
    assert 'speed-up on the device, ms' in text and '2.29× 7.430' in text and '1.50× –' in text


def test_failure_is_said_in_words_and_in_red(report):
    size, speed, accuracy = verdict_cards(broken(report))
    assert (size.words, size.detail, size.state) == ('Not smaller', '2.00× more: 1.10 MB → 2.20 MB', 'bad')
    assert (speed.words, speed.state) == ('Not faster', 'bad')
    assert (accuracy.words, accuracy.state) == ('Drops 3.90 points', 'bad')
    assert accuracy.detail.endswith('more than one point')
    assert '2.00× SLOWER' in Reader(render(broken(report))).text


@pytest.mark.parametrize(
    'drop, words', [(0, 'No accuracy lost'), (0.00001, 'No accuracy lost'), (-0.012, 'Gains 1.20 points')]
)
def test_accuracy_that_does_not_drop_is_good(report, drop, words):
    report['verdict']['metric_drop'] = drop
    card = verdict_cards(report)[2]
    assert (card.words, card.state) == (words, 'good')


def test_uncompressed_model_has_no_verdict_and_one_column(uncompressed):
    reader = Reader(render(uncompressed))
    assert 'Nothing was compressed.' in reader.text
    assert 'The model in figures uncompressed accuracy 87.10 % loss' in reader.text
    assert 'Layer by layer' not in reader.text
    assert 'full-prec – 87.10 %' in reader.text
    assert reader.values('role').count('img') == 2
    assert not {'good', 'bad'} & set(reader.values('class'))


def test_uncompressed_model_without_files_or_stages(uncompressed):
    reader = Reader(render({**uncompressed, 'exports': [], 'stages': [], 'seconds': {}}))
    assert 'svg' not in reader.tags
    assert 'How to reproduce this run' in reader.text


def section_of(page):
    return re.search(r'<section aria-labelledby="search-1">.*?</section>', page, re.DOTALL).group()


def test_reports_without_searches_have_no_section(report):
    assert render({**report, 'searches': []}) == render(report)
    assert 'search-1' not in render(report)


def test_search_stands_on_the_page(report, layer_search):
    section = section_of(render({**report, 'searches': [layer_search]}))
    text = Reader(section).text
    for words in (
        'Search: sparsity of weight-sparse',
        '0.8610 (uniform) -> 0.8740 (trial 4) on the validation',
        '6 trials: 4 measured, 1 screened out',
        'keeps the budget: a sparsity of 0.900',
        '98.70 % of the time',
        'no trade-off',
        'reward on the validation samples',
        'trial number',
        '4, winner',
        'trial 4 0.8500 0.8740 +1.30 points 27,000 winner',
        'cost (nonzero parameters)',
        'conv_1 0.900 → 0.830 4.61 k',
        'sparsity (share of zeros)',
    ):
        assert words in text, words
    history, values = re.findall(r'<svg[^>]*role="img".*?</svg>', section, re.DOTALL)
    assert history.count('<g class="trial">') == 6
    assert [history.count(f'class="{name}"') for name in ('dot after', 'dot winner', 'none', 'ring', 'best')] == [
        3,
        1,
        2,
        1,
        1,
    ]
    assert values.count('<g class="layer">') == 2


def test_trade_off_of_a_search_is_drawn(report, costly_search):
    section = section_of(render({**report, 'searches': [costly_search]}))
    _, front, _ = re.findall(r'<svg[^>]*role="img".*?</svg>', section, re.DOTALL)
    assert 'cost (thousand MACs)' in front and front.count('<g class="trial">') == 3
    assert front.count('class="dot before"') == 1, 'the beaten one'


def test_searched_flags_are_a_table(report, flag_search):
    text = Reader(section_of(render({**report, 'searches': [flag_search]}))).text
    assert 'flag trial 2 (winner) uniform ws_prune_ratio_exp 2.718 3' in text


def test_every_kind_of_search_can_be_read_by_everybody(report, any_search):
    reader = Reader(render({**report, 'searches': [any_search, any_search]}))
    identifiers = reader.values('id')
    assert len(identifiers) == len(set(identifiers)) and 'search-2' in identifiers
    assert {word for value in reader.values('aria-labelledby') for word in value.split()} <= set(identifiers)
    assert 'script' not in reader.tags and 'None' not in reader.text


def test_names_in_searches_are_escaped(report, flag_search, costly_search):
    evil = '<b>&"\'</b>'
    for entry in (flag_search, costly_search):
        entry.update(learner=evil, optimizer=evil, searched=evil, budget=evil, cost_unit=evil, winner=evil)
        entry['verified'][1]['source'] = evil
    flag_search['flags'] = {evil: evil}
    costly_search['layers'][0]['layer'] = evil
    plain = Reader(render(report)).tags.count('b')
    reader = Reader(render({**report, 'searches': [flag_search, costly_search]}))
    own = 1 + 1 + 1 + 3  # for each search its outcome, for each chart its title
    assert reader.tags.count('b') - plain == own
    assert reader.text.count('<b>&"\'</b>') > 20


def test_unknown_keys_do_no_harm(report):
    expected = render(report)
    report['surprise'] = {'nested': [1, 2]}
    report['exports'][0]['surprise'] = None
    report['layers'][0]['surprise'] = 'x'
    assert render(report) == expected


def test_page_is_deterministic_and_does_not_change_the_report(report):
    original = copy.deepcopy(report)
    assert render(report) == render(copy.deepcopy(report))
    assert report == original


def test_page_of_a_deep_network_stays_small(report):
    report['layers'] = [
        {**report['layers'][0], 'layer': f'stage4_block{index}_bottleneck_conv3'} for index in range(300)
    ]
    assert len(render(report).encode()) < 300_000


def test_write_page_replaces_the_file_or_leaves_it(report, tmp_path, monkeypatch):
    path = tmp_path / 'report.html'
    write_page(report, path)
    assert path.read_text(encoding='utf-8') == render(report)
    monkeypatch.setattr(atomic.os, 'replace', lambda *_: (_ for _ in ()).throw(OSError('disk full')))
    with pytest.raises(OSError, match='disk full'):
        write_page({**report, 'model': 'other'}, path)
    assert path.read_text(encoding='utf-8') == render(report)
    assert [file.name for file in tmp_path.iterdir()] == ['report.html']


def test_comparison_tells_better_from_worse(report):
    states = {row.label: row.state for row in comparison(broken(report))}
    assert states['exported file, bytes'] == 'bad'
    assert states['latency p50, one thread'] == 'bad'
    assert states['latency p50, all threads'] == 'good'
    assert states['parameters'] == '', 'equal is neither'


def test_metrics_of_stages_are_joined_accuracies_first():
    stages = [
        {'metrics_compressed': None, 'metrics': {'loss': 1, 'accuracy': 1}},
        {'metrics': {'acc_top5': 1, 'rmse': 1}},
    ]
    assert metric_names(stages, {'accuracy': ACCURACY}) == ['accuracy', 'acc_top5', 'loss', 'rmse']


def test_a_share_that_is_better_when_smaller(report):
    missed = Metric('accuracy', 'share missed', higher_is_better=False, is_share=True)
    report['task'] = {**report['task'], 'primary': missed.to_json(), 'metrics': [missed.to_json()]}
    for drop, words in ((0.012, 'Rises 1.20 points'), (-0.012, 'Drops 1.20 points')):
        report['verdict']['metric_drop'] = drop
        assert verdict_cards(report)[2].words == words


def test_a_metric_that_is_better_when_smaller(report):
    task = Regression(unit='px')
    report['task'] = task.to_json()
    for entry, value in ((report['baseline'], 2.0), (report['compressed'], 2.5)):
        entry['metrics'], entry['file_metrics'] = {'loss': value, 'mae': value}, {'mae': value, 'r2': 0.5}
    for item in report['exports']:
        item['metrics'] = {'mae': 2.5, 'r2': 0.5}
    report['stages'][0] |= {'metrics_compressed': {'loss': 9.0, 'mae': 8.0}, 'metrics': {'loss': 2.5, 'mae': 2.5}}
    report['verdict']['metric_drop'] = 0.5
    card = verdict_cards(report)[2]
    assert (card.about, card.words, card.state) == ('Mean absolute error', 'Rises 0.5000 px', 'bad')
    assert card.detail == '2.0000 px → 2.5000 px, more than 1 %'
    text = Reader(render(report)).text
    assert 'Mean absolute error over file size Further down is better' in text
    assert 'mean absolute error of the exported file 2.0000 px 2.5000 px +0.5000 px' in text
    assert 'within 1 % of the range' in text and 'accura' not in text and 'top-1' not in text


def test_operators_are_counted_file_by_file():
    table = operator_table([{'operators': {'ADD': 9, 'CONV_2D': 22}}, {'operators': {'QUANTIZE': 1, 'ADD': 9}}, {}])
    assert list(table.items()) == [('CONV_2D', [22, 0, 0]), ('ADD', [9, 9, 0]), ('QUANTIZE', [0, 1, 0])]


def test_template_is_part_of_the_package():
    assert 'utils.reports.templates' in setuptools.find_packages(str(ROOT), include=['utils', 'utils.*'])
