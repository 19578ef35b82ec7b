"""The picture of a search: a real one, with what belongs in it, and no state left behind."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pocketflow.utils.reports.search.figure import search_figure, write_search_figure
from pocketflow.utils.system import atomic

ROOT = Path(__file__).parents[4]


def panels(entry):
    return {axes.get_title() or axes.get_title('left'): axes for axes in search_figure(entry).axes}


def dots(axes):
    return {group.get_label(): group.get_offsets() for group in axes.collections if hasattr(group, 'get_offsets')}


def test_picture_is_a_png_of_plausible_size(any_search, tmp_path):
    path = tmp_path / 'search.png'
    write_search_figure(any_search, path)
    content = path.read_bytes()
    assert content[:8] == b'\x89PNG\r\n\x1a\n' and b'IEND' in content[-12:]
    width, height = struct.unpack('>II', content[16:24])
    assert 600 <= width <= 2000 and 400 <= height <= 2000
    assert len(content) > 10_000
    assert [file.name for file in tmp_path.iterdir()] == ['search.png']


def test_failed_writing_leaves_the_old_picture(layer_search, tmp_path, monkeypatch):
    path = tmp_path / 'search.png'
    path.write_bytes(b'old')
    monkeypatch.setattr(atomic.os, 'replace', lambda *_: (_ for _ in ()).throw(OSError('disk full')))
    with pytest.raises(OSError, match='disk full'):
        write_search_figure(layer_search, path)
    assert path.read_bytes() == b'old' and len(list(tmp_path.iterdir())) == 1


def test_panels_are_those_that_say_something(layer_search, costly_search, flag_search):
    history, front, layers = 'Search history', 'Accuracy and cost', 'Values per layer'
    assert list(panels(layer_search)) == [history, layers]
    assert list(panels(costly_search)) == [history, front, layers]
    assert list(panels(flag_search)) == [history]


def test_history_holds_every_trial(layer_search):
    axes = panels(layer_search)['Search history']
    drawn = dots(axes)
    assert drawn['measured'].tolist() == [[1, 0.80], [3, 0.70], [6, 0.70]] and drawn['winner'].tolist() == [[4, 0.85]]
    assert drawn['screened out'][:, 0].tolist() == [2] and drawn['not finite'][:, 0].tolist() == [5]
    assert drawn['verified'].tolist() == [[1, 0.80]]
    (best,) = [line for line in axes.lines if line.get_label() == 'best so far']
    assert best.get_xydata().tolist() == [[1, 0.80], [4, 0.85], [6, 0.85]]
    assert axes.get_xlabel() and 'reward' in axes.get_ylabel()
    assert min(axes.get_yticks()) > axes.get_ylim()[0], 'the lane of the failures has no scale'


def test_front_tells_beaten_trials_apart(costly_search):
    axes = panels(costly_search)['Accuracy and cost']
    drawn = dots(axes)
    assert drawn['on the front'].tolist() == [[10, 0.80]] and drawn['winner'].tolist() == [[20, 0.85]]
    assert drawn['beaten'].tolist() == [[15, 0.70]]
    assert axes.get_xlabel() == 'cost (thousand MACs)'


def test_layers_are_named_as_they_are(layer_search):
    layer_search['layers'][0]['layer'] = '<b>$x_1$</b>'
    axes = panels(layer_search)['Values per layer']
    assert [label.get_text() for label in axes.get_yticklabels()] == ['<b>$x_1$</b>', 'conv_2']
    assert not axes.get_yticklabels()[0].get_parse_math()
    assert axes.get_ylim()[0] > axes.get_ylim()[1], 'the first layer is on top'
    assert dots(axes)['winner'].tolist() == [[0.83, 0], [0.95, 1]]


def test_words_that_look_like_formulas_do_no_harm(layer_search, tmp_path):
    layer_search.update(searched='$\\broken$', cost_unit='$\\worse$', winner='$\\frac$')
    layer_search['layers'][0]['layer'] = '$\\undefined{$'
    layer_search['verified'][1]['source'] = '$\\frac$'
    layer_search['trials'][0]['cost'] = 50_000.0
    write_search_figure(layer_search, tmp_path / 'search.png')


@pytest.mark.parametrize('action, module', [('', 'matplotlib'), ('search_figure(entry)', 'matplotlib.pyplot')])
def test_only_what_is_needed_is_loaded(layer_search, action, module):
    program = (
        'import json, sys; from pocketflow.utils.reports.search.figure import search_figure\n'
        'entry = json.load(sys.stdin)\n'
        f'{action}\nsys.exit({module!r} in sys.modules)'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=ROOT, input=json.dumps(layer_search), text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
