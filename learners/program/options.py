"""Options of the program: execution mode, learners, directories."""

from __future__ import annotations

import dataclasses

from pocketflow.learners.program.chains import FULL_PRECISION
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.options import Options, option, option_fields

EXPORTS_GIVEN_MODEL = '# exports the model at --save_path; nothing is trained here'
"""First line of the flag file of a directory that holds only exported files."""
RUNS_CODE = '# its models hold code, which --trust_model runs'
"""Line of the flag file of a run whose models can only be read with that flag."""
EXPORT_FLAGS = tuple(field.metadata['flag'] for field in option_fields(ExportOptions))
"""May differ from those that a run was made with when its models are exported again."""
LINT = 'lint'
"""The mode that works on a single file, without a run, a pair or data."""
FLAGS_OF_MODES: dict[str, tuple[str, ...]] = {
    'train': (),
    'check': (),
    'eval': ('save_path', 'nb_smpls_eval'),
    'export': EXPORT_FLAGS,
    'benchmark': ('nb_repts', 'nb_repts_warmup', 'export_time_limit', 'export_memory_limit'),
    LINT: (),
}
"""The modes, and what decides results and may be given anew to those that work on a finished run."""
MODES_OF_NEW_RUNS = ('train', 'check')
"""Modes that take the flags of a run that begins or is continued; the others work on a finished run."""


@dataclasses.dataclass(frozen=True)
class MainOptions(Options):
    """Learners and reproducibility."""

    learner: str = option('learner', FULL_PRECISION, 'learner, or several in order, separated by commas')
    seed: int = option('seed', 0, 'seeds Python, NumPy, TensorFlow and the data order', low=0, high=2**30)
    deterministic: bool = option(
        'deterministic',
        False,
        "bit-identical repetition: only TensorFlow's deterministic operations, which may be slower",
        decides=False,
    )


@dataclasses.dataclass(frozen=True)
class ProcessOptions(Options):
    """Options that do not change results, and are therefore not recorded in the run directory."""

    exec_mode: str = option(
        'exec_mode',
        'train',
        'train: compress, export and report; check: what train would do, in about a minute and without training; '
        'eval, export, benchmark: of a finished run; eval, export: also of the model at --save_path; '
        'lint: which accelerators run the file --tflite',
        choices=tuple(FLAGS_OF_MODES),
    )
    config: str | None = option(
        'config', None, 'YAML file with these flags, in sections and strategies; flags that are given override it'
    )
    run_dir: str | None = option('run_dir', None, 'directory of the run; default: runs/PAIR/LEARNER-FINGERPRINT')
    dry_run: bool = option('dry_run', False, 'print the stages, files and flags that matter, and do nothing else')
    trust_model: bool = option(
        'trust_model',
        False,
        'run the code in model files: Lambda layers, and classes in modules that they name; only for files of people '
        'whom you trust, and to be given in each call',
    )
    debug: bool = option('debug', False, 'show debug messages, and tracebacks of errors')
