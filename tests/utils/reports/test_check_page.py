"""The page of a check, and its summary, from records by hand."""

from __future__ import annotations

import html.parser

import pytest

from pocketflow.utils.reports import check_page

STAGE = {
    'name': 'chn-pruned-rmt', 'folder': '1-chn-pruned-rmt', 'method': 'by <counts>', 'num_steps': 1200,
    'step_seconds': 0.05, 'is_measured': True, 'search_seconds': 0.0, 'compress_seconds': 30.0,
    'evaluate_seconds': 2.0, 'memory_bytes': 5e8, 'train_seconds': 60.0, 'seconds': 92.0, 'macs': 400, 'parameters': 50,
}  # fmt: skip
FILE = {'file_bytes': 1000, 'latency_ms': {'p50': 2.0}, 'latency_ms_all_threads': None}
ROW = {'layer': 'conv1', 'type': 'Conv2D', 'macs': [1000, 400], 'parameters': [100, 50], 'note': ''}


def record(**changes) -> dict:
    """Of a check that passes."""
    found = {
        'model': 'net', 'dataset': 'data', 'learners': ['chn-pruned-rmt'], 'command': 'python main.py --x=<y>',
        'passes': True, 'part': None, 'reason': None, 'seconds': {'data': 1.5, 'export': 3.0},
        'versions': {'python': '3.12'},
        'machine': {'processor': 'CPU', 'cores': 4, 'usable_cores': 2, 'instruction_sets': ['avx2'], 'gpus': [],
                    'free_memory_bytes': 2e9, 'free_disk_bytes': 5e10},
        'data': {'name': 'data', 'sample_shapes': [[8, 8, 1], [2]], 'held_out': 10,
                 'facts': {'broken_images_left_out': 2},
                 'splits': [{'split': 'training', 'samples': 30, 'labels': [
                     {'name': 'kind', 'classes': [['<a>', 10], ['b', 20]]},
                     {'name': 'size', 'shape': [2], 'low': -0.5, 'high': 2.0, 'mean': 0.123456}]}],
                 'drawn': [{'sample': 7, 'label': 'b', 'pictures': ['data:image/png;base64,AA=='], 'low': 0.0,
                            'high': 1.0,
                            'mean': 0.5}]},
        'plan': {'directory': '/runs/1', 'state': 'new', 'reads': {'--save_path=m': '/m'}, 'writes': ['report.json'],
                 'changed_flags': ['--x=<y>'], 'default_flags': ['--seed=0']},
        'baseline': {'macs': 1000, 'parameters': 100, 'metrics': {'loss': 0.51234, 'accuracy': 0.875},
                     'compute_dtype': 'bfloat16'},
        'explained': {'chn-pruned-rmt': {'conv1': 'first convolution', 'fc': ''}, 'uniform': {'conv1': ''}},
        'stages': [STAGE], 'layers': [ROW],
        'trial_export': {'baseline': FILE, 'compressed': {**FILE, 'file_bytes': 500}, 'exports': [
            {'format': 'float32', 'bytes': 500, 'latency_ms': {'p50': 1.0}, 'relative_max_abs_diff': 1e-7,
             'speedup_vs_uncompressed': 2.0}], 'failed_exports': [{'format': 'int8', 'reason': 'no <range>'}]},
        'conversion_seconds': {'float32': 1.25},
        'flag_search_seconds': 0.0, 'export_seconds': 8.0, 'total_seconds': 100.0, 'disk_bytes': 3e6,
    }  # fmt: skip
    return {**found, **changes}


def failed(part: str, *missing: str) -> dict:
    found = record(passes=False, part=part, reason='a <reason>')
    return {key: value for key, value in found.items() if key not in missing}


LATER = ('trial_export', 'conversion_seconds', 'flag_search_seconds', 'export_seconds', 'total_seconds', 'disk_bytes')
NETWORK = ('stages', 'layers', 'baseline', 'explained')


class Tags(html.parser.HTMLParser):
    """Collects tags and the text between them; every tag must be closed."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ('meta', 'img', 'br', 'path', 'rect'):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ('path', 'rect'):
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def page_of(found: dict, tmp_path) -> Tags:
    check_page.write_page(found, tmp_path / 'check.html')
    page = (tmp_path / 'check.html').read_text()
    assert '<counts>' not in page and '<y>' not in page and '<reason>' not in page and '<range>' not in page
    tags = Tags(page)
    assert tags.open == []
    return tags


def test_page_of_a_check_that_passes(tmp_path):
    tags = page_of(record(), tmp_path)
    text = ' '.join(' '.join(tags.text).split())
    for words in (
        'The run can start', '1 min 40 s', '2.50× less', '2.00× smaller', 'by <counts>', '50 ms', '30.0 s',
        '500 MB', 'first convolution', 'yes', 'uniform (not in this run)', 'not exported: no <range>',
        'broken images left out: 2', '8 × 8 × 1, 2;', '2 of 4', 'training: 30 samples, size', '0.1235', '/runs/1 (new)',
        '--save_path=m (/m)', 'loss 0.5123, accuracy 0.875. Training computes in bfloat16.', '--seed=0', '1.25',
    ):  # fmt: skip
        assert words in text, words
    (picture,) = [attributes['src'] for tag, attributes in tags.tags if tag == 'img']
    assert picture == 'data:image/png;base64,AA=='


@pytest.mark.parametrize(
    'found',
    [
        failed('data', *NETWORK, *LATER, 'plan', 'data'),
        failed('inputs', *NETWORK, *LATER, 'plan'),
        failed('network', *NETWORK, *LATER),
        failed('stages', *LATER, 'stages', 'layers'),
        failed('export', *LATER),
        failed('resources', *LATER[2:]),
    ],
    ids=lambda found: found['part'],
)
def test_page_of_a_check_that_fails(found, tmp_path):
    text = ' '.join(page_of(found, tmp_path).text)
    assert 'The run would fail' in text and f'{found["part"]}: a <reason>' in text
    assert check_page.summary(found) == f'the run would fail at {found["part"]} (checked in 4.5 s)'


def test_summary():
    assert check_page.summary(record()).splitlines() == [
        'the run can start (checked in 4.5 s)',
        'estimated duration: 1 min 40 s, disk space: 3.00 MB',
        '  1-chn-pruned-rmt: 1 min 32 s (1,200 steps of 50 ms)',
        '  export: 8.0 s',
        'predicted:',
        '  multiply-adds (MACs): 1,000 → 400 (2.50× less)',
        '  parameters: 100 → 50 (2.00× less)',
        '  exported file, bytes: 1,000 → 500 (2.00× less)',
        '  latency, one thread: 2.000 ms (same)',
    ]


def test_a_stage_without_training_has_no_steps():
    stage = {**STAGE, 'num_steps': 0, 'step_seconds': None}
    assert check_page.phases({'stages': [stage]})[0]['steps'] == '–'
    assert '  1-chn-pruned-rmt: 1 min 32 s' in check_page.summary({**record(), 'stages': [stage]}).splitlines()


def test_steps_in_words():
    assert check_page.step_words({**STAGE, 'is_measured': False}) == '50 ms (derived)'
    assert check_page.step_words({**STAGE, 'step_seconds': None}) == '–'


def test_many_classes_are_shortened():
    classes = [[str(number), number] for number in range(30)]
    shown = check_page.shown_classes(classes)
    assert shown[0] == ('29', 29) and shown[-1] == ('0', 0) and len(shown) == 11
    assert shown[5] == ('20 other classes', sum(range(5, 25)))
    assert check_page.shown_classes(classes[:20]) == [(str(number), number) for number in range(20)]
