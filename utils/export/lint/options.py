"""Options of the lint of `.tflite` files."""

from __future__ import annotations

import dataclasses

from pocketflow.utils.options import Options, option

DELEGATE_NAMES = ('xnnpack', 'gpu', 'nnapi')
"""The delegates, as the command line names them."""


@dataclasses.dataclass(frozen=True)
class LintOptions(Options):
    """Which accelerators run an exported file."""

    tflite: str | None = option(
        'tflite', None, '.tflite file of any origin for --exec_mode=lint', decides=False, needs='exec_mode=lint'
    )
    samples: str | None = option(
        'lint_samples',
        None,
        '.npy file with inputs [N, ...] of a float file, for the ranges of its activations',
        decides=False,
        needs='tflite',
    )
    require_full_delegation: str | None = option(
        'require_full_delegation',
        None,
        'exit with 1 unless this delegate runs every operation of the file (of the first exported .tflite file); '
        'xnnpack: as LiteRT on this machine delegates it; gpu, nnapi: by their documented rules',
        choices=DELEGATE_NAMES,
        decides=False,
    )
