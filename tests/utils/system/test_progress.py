from __future__ import annotations

import io
import logging as python_logging
import re

import pytest
from tqdm import tqdm

from pocketflow.utils.system import progress as progress_module
from pocketflow.utils.system.progress import Progress, Rate, duration, fitting, number


def test_duration_and_number():
    assert duration(3723.4) == '1:02:03'
    assert duration(59) == '0:00:59'
    assert number(0.123456) == '0.1235'


def test_rate_leaves_out_the_first_measurement_and_skipped_time():
    times = iter([0.0, 10.0, 12.0, 100.0, 101.0])
    rate = Rate(lambda: next(times))
    rate.add(50)  # 10 s with the compilation: not counted
    assert rate.per_second == 0
    rate.add(40)  # 2 s
    assert rate.per_second == 20
    rate.skip()  # 88 s of evaluation
    rate.add(20)  # 1 s
    assert rate.per_second == 20


def test_plain_lines_without_a_terminal(caplog):
    with caplog.at_level(python_logging.INFO, logger='absl'):
        progress = Progress('train', total=10, units_per_step=4)
        progress.advance(5)
        progress.report({'loss': 0.5}, 'epoch 1')
    assert 'train step 5/10 [50 %] epoch 1 loss 0.5 | warming up | ETA -' in caplog.text


def test_values_are_shown_whole_or_not_at_all():
    parts = ['loss 0.5', 'accuracy 0.91', 'rate 1']
    assert [len(fitting(parts, room)) for room in (0, 7, 8, 21, 22, 28, 29)] == [0, 0, 1, 1, 2, 2, 3]
    assert fitting([], 10) == []


@pytest.mark.parametrize(
    ('columns', 'shown'),
    [
        (80, ['loss 0.0123']),
        (100, ['loss 0.0123', 'accuracy 0.988']),
        (140, ['loss 0.0123', 'accuracy 0.988', 'distillation_loss 12.3', 'learning_rate 0.000123']),
    ],
)
def test_a_bar_always_has_room_for_speed_and_remaining_time(columns, shown, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal, times = Terminal(), iter(range(0, 100, 10))
    monkeypatch.setattr(progress_module.sys, 'stderr', terminal)
    monkeypatch.setattr(progress_module, 'tqdm', lambda **arguments: tqdm(ncols=columns, file=terminal, **arguments))
    progress = Progress('1-nonuniform', 11_700, units_per_step=12_345)
    progress.rate = Rate(lambda: next(times))
    for _ in range(2):
        progress.advance(5000)
    progress.report({'learning_rate': 0.000123, 'loss': 0.01234, 'accuracy': 0.98765, 'distillation_loss': 12.345})
    line = terminal.getvalue().split('\r')[-1]
    assert len(line) <= columns
    bar, values = line.split(' images/s ')
    assert re.fullmatch(r'1-nonuniform .{10} 10000/11700 ETA \d\d:\d\d, 6,172,500', bar)
    assert values.strip() == ' '.join(shown)
