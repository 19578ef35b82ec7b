"""TensorFlow Model Optimization is loaded for quantization-aware models only."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from pocketflow.utils.quantization.int8 import on_demand
from pocketflow.utils.quantization.int8.on_demand import plain_if_quantization_aware, register_classes_in
from pocketflow.utils.quantization.int8.wrapping import quantization_aware


def test_model_optimization_is_loaded_only_when_needed():
    code = (
        'import sys, pocketflow.learners, pocketflow.utils.export, pocketflow.utils.quantization.int8;'
        "assert not [name for name in sys.modules if name.startswith('tensorflow_model_optimization')]"
    )
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)


def test_ordinary_models_and_other_things_are_left_as_they_are(make_net):
    model = make_net('lenet')
    assert plain_if_quantization_aware(model) is model and plain_if_quantization_aware('text') == 'text'


def test_a_quantization_aware_model_becomes_an_ordinary_one(make_net, images):
    plain = plain_if_quantization_aware(quantization_aware(make_net('lenet'), images))
    assert [type(layer).__name__ for layer in plain.layers] == [
        type(layer).__name__ for layer in make_net('lenet').layers
    ]
    assert plain(images[:2]).shape == (2, 5) and np.isfinite(plain(images[:2])).all()


def test_classes_are_registered_where_an_architecture_names_them(monkeypatch):
    loaded = []
    monkeypatch.setattr(on_demand.importlib, 'import_module', loaded.append)
    register_classes_in(b'{"class_name": "Dense"}')
    assert not loaded
    register_classes_in(b'{"class_name": "QuantizedLayer"}')
    assert loaded == ['pocketflow.utils.quantization.int8.wrappers']
