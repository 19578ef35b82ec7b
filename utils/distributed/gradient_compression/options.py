"""Options of gradient compression."""

from __future__ import annotations

import dataclasses

from pocketflow.utils.options import Options, option

NUM_CODES = {'ternary': 3, '2': 4, '4': 16, '8': 256}
"""Number of grid points by `--ecq_bits`."""


@dataclasses.dataclass(frozen=True)
class CompressionOptions(Options):
    """Compression of the gradients that workers exchange."""

    kind: str = option(
        'grad_compression',
        'none',
        'how gradients travel between workers; ecq: error-compensated quantization; powersgd: matrices of low rank',
        choices=('none', 'fp16', 'ecq', 'powersgd'),
        needs='enbl_multi_gpu',
    )
    bits: str = option(
        'ecq_bits',
        'ternary',
        'bits per gradient element; ternary: -1, 0, 1 times a scale, five to a byte',
        choices=tuple(NUM_CODES),
        needs='grad_compression=ecq',
    )
    bucket_size: int = option(
        'ecq_bucket_size', 512, 'gradient elements that share a scale', low=1, needs='grad_compression=ecq'
    )
    error_decay: float = option(
        'ecq_error_decay',
        1.0,
        'what is kept of the accumulated error per step (beta)',
        low=0,
        high=1,
        needs='grad_compression=ecq',
    )
    error_coeff: float = option(
        'ecq_error_coeff',
        0.5,
        'factor on the accumulated error when it is added to the gradient (alpha); 0: no compensation',
        low=0,
        high=1,
        needs='grad_compression=ecq',
    )
    exchange: str = option(
        'ecq_exchange',
        'auto',
        'gather: all codes to all workers; chunked: each worker adds up one '
        'part, so that bytes per worker do not grow with the workers',
        choices=('auto', 'gather', 'chunked'),
        needs='grad_compression=ecq',
    )
    rank: int = option(
        'powersgd_rank',
        2,
        'rank of the matrices that stand for gradients of kernels',
        low=1,
        needs='grad_compression=powersgd',
    )
