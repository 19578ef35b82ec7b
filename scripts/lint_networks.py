"""Converts networks of `tf_keras.applications` with untrained weights, and lints their files.

    .venv/bin/python scripts/lint_networks.py --formats=float32,int8 MobileNetV2 MobileNetV3Small

Prints one line per file: operations that each delegate runs, and the checks with findings.
"""

from __future__ import annotations

import pocketflow.scripts.quiet_tensorflow  # noqa: F401  isort: skip

import argparse
import tempfile
from pathlib import Path

import numpy as np
import tf_keras as keras

from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.lint.linter import lint_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('networks', nargs='+', help='names in tf_keras.applications')
    parser.add_argument('--formats', default='float32', help='formats, separated by commas')
    parser.add_argument('--size', type=int, default=64, help='pixels per side')
    arguments = parser.parse_args()
    shape = (arguments.size, arguments.size, 3)
    images = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.networks:
            model = getattr(keras.applications, name)(weights=None, input_shape=shape, classes=10)
            for file_format in arguments.formats.split(','):
                path = Path(folder) / 'model.tflite'
                path.write_bytes(convert(model, file_format, images))
                print(f'{name} {file_format}: {described(path)}', flush=True)


def described(path: Path) -> str:
    """Operations on each delegate, and the names of the checks with findings."""
    record = lint_file(path).to_json()
    counts = [f'{each["title"]} {each["operations"]}' for each in record['delegates']]
    parts = record['delegates'][0]['parts']
    checks = ', '.join(dict.fromkeys(finding['check'] for finding in record['findings'])) or 'none'
    return f'{record["operations"]} operations: {", ".join(counts)}; XNNPACK parts: {parts}; findings: {checks}'


if __name__ == '__main__':
    main()
