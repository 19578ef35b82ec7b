from __future__ import annotations

import logging as python_logging

from utils.progress import Progress, Rate, duration, number


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
