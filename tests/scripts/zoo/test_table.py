"""The page of the zoo has the table of its list."""

from __future__ import annotations

from pocketflow.scripts.zoo.table import PAGE, table, with_table
from pocketflow.utils.models.zoo import ZooModel, zoo_models

MODEL = ZooModel('one', 'one.keras', '--model=a --dataset=b', 'train it', 'accuracy', 0.5, 'ab' * 32, 'seed 0')


def test_the_page_is_up_to_date():
    page = PAGE.read_text(encoding='utf-8')
    assert with_table(page, zoo_models().values()) == page, 'run python scripts/zoo/table.py'


def test_a_model_is_a_row():
    row = '| `zoo:one` | `--model=a --dataset=b` | `train it` (seed 0) | accuracy 0.5000 | `abababababababab...` |'
    assert table([MODEL]).splitlines()[2:] == [row]
