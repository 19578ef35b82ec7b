from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.learners.program.baseline import METRICS_FILE, KeptBaseline
from pocketflow.utils.runs.records import DamagedRecordError

METRICS = {'loss': 0.1 + 0.2, 'accuracy': 1 / 3}


def network() -> keras.Model:
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])


def test_metrics_come_back_to_the_last_digit(tmp_path):
    kept = KeptBaseline(tmp_path)
    assert not kept.exists()
    kept.save(network(), METRICS)
    assert kept.exists() and kept.metrics() == METRICS
    kept.refuse_damaged()


def test_metrics_are_never_those_of_another_model(tmp_path, monkeypatch):
    """Interrupted between the two files, after the user has deleted the model."""
    kept = KeptBaseline(tmp_path)
    kept.save(network(), METRICS)
    kept.path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(KeptBaseline, 'save_metrics', lambda self, metrics: None)
        kept.save(network(), {'loss': 1.0})
    assert kept.exists() and kept.metrics() is None


@pytest.mark.parametrize('content', ['', '{"loss": "small"}', '{"accuracy": 0.5}', '[1]'])
def test_a_damaged_record_is_refused(content, tmp_path):
    kept = KeptBaseline(tmp_path)
    kept.save(network(), METRICS)
    (kept.folder / METRICS_FILE).write_text(content)
    with pytest.raises(DamagedRecordError, match='metrics.json: damaged record .*; delete it to have the model eval'):
        kept.metrics()
    kept.path.write_bytes(kept.path.read_bytes()[:-10])
    with pytest.raises(DamagedRecordError, match='model.keras: is damaged .*delete .*baseline to obtain it again'):
        kept.refuse_damaged()
