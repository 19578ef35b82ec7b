"""What a server has to know of a `.tflite` file: names, types and shapes, state, labels, figures."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pocketflow.utils.errors import UsageError, first_line
from pocketflow.utils.export.metadata import FIGURES, LABELS
from pocketflow.utils.export.operators import operators
from pocketflow.utils.system.quiet import quiet_native_output

RESOURCE = 'VAR_HANDLE'
"""The operation of files whose state LiteRT does not reset with its variables."""
DATATYPES = {
    'bool': 'BOOL',
    **{f'{sign}int{bits}': f'{sign.upper()}INT{bits}' for sign in ('', 'u') for bits in (8, 16, 32, 64)},
    **{f'float{bits}': f'FP{bits}' for bits in (16, 32, 64)},
}
"""NumPy's names of types -> those of the protocol."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output.

    Attributes:
      name: in the file's signature.
      dtype: in the file.
      shape: of one sample.
      scale, zero_point: real value = (code - zero_point) * scale; scale 0: not quantized.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0

    @property
    def is_quantized(self) -> bool:
        """Whether requests and answers hold real numbers, and the file codes."""
        return self.dtype.kind == 'i' and self.scale != 0

    @property
    def datatype(self) -> str:
        """The datatype of requests and answers in the protocol."""
        return 'FP32' if self.is_quantized else DATATYPES[self.dtype.name]

    def metadata(self) -> dict[str, Any]:
        """The entry in `inputs` or `outputs` of `model-settings.json`; parameters are texts, which gRPC needs."""
        entry: dict[str, Any] = {'name': self.name, 'datatype': self.datatype, 'shape': [-1, *self.shape]}
        if self.is_quantized:
            entry['parameters'] = {
                'file_datatype': DATATYPES[self.dtype.name],
                'scale': repr(self.scale),
                'zero_point': str(self.zero_point),
            }
        return entry


@dataclasses.dataclass(frozen=True)
class ServedFile:
    """A file as a server sees it.

    Attributes:
      inputs, outputs: in the order of the signature.
      state: 'resources' if a new interpreter is needed for each sample, else ''.
      labels: names of the classes, if the file has them.
      figures: what was measured on the file, as it says itself.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    state: str = ''
    labels: tuple[str, ...] = ()
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def read_served_file(path: Path) -> ServedFile:
    """Reads a file.

    Raises:
      UsageError: there is none, LiteRT cannot load it, or it takes several samples at a time only.
    """
    if not path.is_file():
        raise UsageError(f'{path}: there is no such file; give an exported .tflite file')
    content = path.read_bytes()
    try:
        with quiet_native_output():
            interpreter = Interpreter(model_content=content)
            interpreter.allocate_tensors()
            inputs, outputs = (tuple(map(_tensor, *zip(*part.items(), strict=True))) for part in details(interpreter))
    except (RuntimeError, ValueError, KeyError) as error:
        raise UsageError(f'{path}: LiteRT cannot load this file ({first_line(error)}); export it again') from error
    for detail in interpreter.get_input_details():
        if not len(detail['shape']) or detail['shape'][0] != 1:
            raise UsageError(
                f'{path}: input {detail["name"]} has the shape {list(detail["shape"])}; a served file takes '
                'one sample, [1, ...]'
            )
    attached = _attached(content)
    return ServedFile(
        inputs,
        outputs,
        'resources' if RESOURCE in operators(content) else '',
        tuple(attached.get(LABELS, '').splitlines()),
        json.loads(attached.get(FIGURES, '{}')),
    )


def details(interpreter: Interpreter) -> tuple[dict[str, Any], dict[str, Any]]:
    """LiteRT's details of the inputs and outputs, by the names of the signature, if the file has one."""
    if len(interpreter.get_signature_list()) == 1:
        signature = interpreter.get_signature_runner()
        return signature.get_input_details(), signature.get_output_details()
    given = interpreter.get_input_details(), interpreter.get_output_details()
    inputs, outputs = ({detail['name']: detail for detail in part} for part in given)
    return inputs, outputs


def _tensor(name: str, detail: Mapping[str, Any]) -> Tensor:
    scale, zero_point = detail['quantization']
    shape = tuple(int(size) for size in detail['shape'][1:])
    return Tensor(name, np.dtype(detail['dtype']), shape, float(scale), int(zero_point))


def _attached(content: bytes) -> dict[str, str]:
    """The texts in the archive behind the file."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name).decode() for name in (LABELS, FIGURES) if name in archive.namelist()}
