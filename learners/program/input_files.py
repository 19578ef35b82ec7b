"""Input files of a run, and their fingerprints.

A run keeps copies of its inputs, so it continues without the original files. If an input file has changed, the run is
not continued, because the same command would give another result.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.kinds import is_saved_model
from pocketflow.utils.options import Options, option_fields
from pocketflow.utils.runs.given_files import curves_file, model_file, plan_file
from pocketflow.utils.runs.records import read_record
from pocketflow.utils.runs.run_directory import RunDirectory
from pocketflow.utils.system import atomic

INPUTS_FILE = 'inputs.json'
"""Record of the input files' fingerprints in a run directory, by flag."""
KERAS_DATE = 'metadata.json'
"""Member of a `.keras` file with its date, which is excluded from the fingerprint."""


def named_files(shared: Options, distillation: Options, learner_options: Mapping[str, Options]) -> dict[str, Path]:
    """The input files that options name, as in `{'--save_path=RUN': RUN/model.keras}`, without missing ones.

    Args:
      shared, distillation: options of all learners.
      learner_options: options by learner name.
    """
    found = [
        (f'--{flag}={value}', _resolved(value, kind, learner))
        for learner, flag, value, kind in named_values(shared, distillation, learner_options)
    ]
    return {line: file for line, file in found if file is not None and (file.is_file() or is_saved_model(file))}


def named_values(
    shared: Options, distillation: Options, learner_options: Mapping[str, Options]
) -> Iterator[tuple[str, str, str, str]]:
    """(learner or '', flag, value, kind) of each option that names a file; arguments as for `named_files`."""
    for learner, options in [('', shared), ('', distillation), *learner_options.items()]:
        for flag, value, kind in _inputs(options):
            yield learner, flag, value, kind


def _inputs(options: Options) -> Iterator[tuple[str, str, str]]:
    """Flag, value and kind of each option that names a file."""
    for field in option_fields(type(options)):
        value, kind = getattr(options, field.name), field.metadata['names']
        if kind is not None and value is not None:
            yield field.metadata['flag'], value, kind


def _resolved(value: str, kind: str, learner: str) -> Path | None:
    match kind:
        case 'model':
            return model_file(value)
        case 'plan':
            return plan_file(value, learner)
        case 'curves':
            return curves_file(value)
        case _:
            return Path(value)


def content_fingerprint(file: Path) -> str:
    """Eight hexadecimal digits of a file's content, independent of its name and date."""
    if file.is_dir():
        parts = sorted(part for part in file.rglob('*') if part.is_file())
        hashes = [(str(part.relative_to(file)), hashlib.sha256(part.read_bytes()).hexdigest()) for part in parts]
        return hashlib.sha256(repr(hashes).encode()).hexdigest()[:8]
    try:
        with zipfile.ZipFile(file) as archive:
            members = sorted(
                (member.filename, member.CRC, member.file_size)
                for member in archive.infolist()
                if member.filename != KERAS_DATE
            )
        content = repr(members).encode()
    except zipfile.BadZipFile:  # not a .keras file
        content = file.read_bytes()
    return hashlib.sha256(content).hexdigest()[:8]


def record_inputs(run: RunDirectory, files: Mapping[str, Path]) -> None:
    """Records the fingerprints of the input files in a run directory.

    Raises:
      UsageError: the run began with other files.
    """
    note = run / INPUTS_FILE
    recorded = read_record(note, {...: str}, 'delete it if the files that the flags name are still the same') or {}
    found = {line: content_fingerprint(file) for line, file in files.items()}
    for line, content in found.items():
        if recorded.get(line, content) != content:
            raise UsageError(
                f'{line} has changed since the run in {run.path} began; give another --run_dir, or '
                'delete that directory'
            )
    if not found.keys() <= recorded.keys():
        atomic.write_json(note, {**found, **recorded})
