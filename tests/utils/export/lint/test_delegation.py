from __future__ import annotations

import sys

import pytest

from pocketflow.utils.export.lint import delegation
from pocketflow.utils.export.lint.delegation import Delegation, ask, ask_in_another_process, replaced_nodes


def node(index: int, name: str, inputs: list[int], outputs: list[int]) -> dict:
    return {'index': index, 'op_name': name, 'inputs': inputs, 'outputs': outputs}


def test_a_delegate_stands_for_the_nodes_between_what_it_reads_and_writes():
    # 0 -> conv -> 1 -> pool -> 2 -> custom -> 3 -> dense -> 4; two parts around the custom operation.
    nodes = [
        node(0, 'CONV_2D', [0, 10, -1], [1]),
        node(1, 'POOL', [1], [2]),
        node(2, 'MINE', [2], [3]),
        node(3, 'DENSE', [3, 11], [4]),
        node(4, 'DELEGATE', [0, 10], [2]),
        node(5, 'DELEGATE', [3, 11], [4]),
    ]
    assert replaced_nodes(nodes) == [{0, 1}, {3}]
    assert replaced_nodes(nodes[:4]) == []


def test_the_runtime_is_asked(files):
    assert ask(files['clean', 'float32']).parts == (frozenset({0, 1, 2}),)


def test_another_process_gives_the_same_answer(files):
    answer = ask_in_another_process(files['sequence', 'float32'])
    assert answer == ask(files['sequence', 'float32']) and answer.taken


def test_a_file_that_the_runtime_refuses(tmp_path):
    (tmp_path / 'x.tflite').write_bytes(b'\x10\x00\x00\x00TFL3' + b'\xff' * 64)
    answer = ask(tmp_path / 'x.tflite')
    assert answer.parts is None and 'LiteRT cannot load this file' in answer.failure and answer.taken == frozenset()


@pytest.mark.parametrize(
    ('code', 'how'), [('import os; os.kill(os.getpid(), 11)', 'SIGSEGV'), ('raise SystemExit(3)', 'exit code 3')]
)
def test_a_crash_becomes_one_line(monkeypatch, code, how):
    monkeypatch.setattr(delegation, 'module_command', lambda name: [sys.executable, '-c', code])
    assert ask_in_another_process('x') == Delegation(None, f'LiteRT crashed while it loaded this file ({how})')


def test_an_endless_load_is_ended(monkeypatch):
    monkeypatch.setattr(delegation, 'module_command', lambda name: [sys.executable, '-c', 'import time; time.sleep(9)'])
    assert 'longer than 0.2 seconds' in ask_in_another_process('x', time_limit=0.2).failure
