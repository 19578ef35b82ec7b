"""`pocketflow serve init`: which exported file is served, under which name, with which figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports.report import SHAPE, upgraded
from pocketflow.utils.runs.records import Record, read_record
from pocketflow.utils.runs.run_directory import REPORT
from pocketflow.utils.serving.model_folder import checked_name, default_name, write_folder
from pocketflow.utils.serving.options import InitOptions
from pocketflow.utils.serving.served_file import ServedFile, read_served_file

SUFFIX = '.tflite'
FOLDER = 'serve'
"""Name of the folder in a run directory."""
FIGURES = ('format', 'bytes', 'metrics', 'same_answers', 'size_ratio', 'latency_ms', 'speedup_vs_uncompressed')
"""What of a report's entry on a file is kept with the model."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """A file to be served.

    Attributes:
      file: the file.
      name: the model's name, unless the user gives one.
      figures: what was measured on it.
      output: the folder to write, unless the user gives one.
    """

    file: Path
    name: str
    figures: Mapping[str, Any]
    output: Path


def init(path: Path, options: InitOptions) -> str:
    """Writes the folder for a run directory, or a `.tflite` file, and says what is in it.

    Raises:
      UsageError: there is no such run or file, or the folder holds something else.
    """
    choice = choose(path, options.file_format)
    served = read_served_file(choice.file)
    name = checked_name(options.name if options.name is not None else choice.name)
    folder = Path(options.output) if options.output else choice.output
    write_folder(folder, choice.file, served, options, name, choice.figures or served.figures)
    return '\n'.join(
        [
            f'folder: {folder}',
            f'model: {name}, version {options.version}, {choice.file.name} ({choice.file.stat().st_size:,} bytes)',
            *_ports(served),
            f'start it with: mlserver start {folder}',
            f'test it with: pocketflow serve test {folder}',
        ]
    )


def choose(path: Path, file_format: str | None) -> Choice:
    """The file of a format in a run directory, by default that of the verdict; or the file itself.

    Raises:
      UsageError: there is none.
    """
    if path.suffix == SUFFIX and not path.is_dir():
        if file_format is not None:
            raise UsageError(
                f'--format={file_format}: {path} is a file already; drop the flag, or give a run directory'
            )
        return Choice(path, default_name(path.stem), {}, path.with_name(f'{path.stem}_{FOLDER}'))
    report = read_record(path / REPORT, SHAPE, "export the run again with its own command's flags", upgraded)
    if report is None:
        raise UsageError(
            f'{path}: holds no finished run ({REPORT} is missing); give a run directory or a {SUFFIX} file'
        )
    files = {item['format']: item for item in report['exports'] if item['path'].endswith(SUFFIX)}
    if not files:
        raise UsageError(f'{path}: holds no {SUFFIX} file; export one with --exec_mode=export --export_formats=float32')
    if file_format is not None and file_format not in files:
        raise UsageError(f'--format={file_format}: the run has {", ".join(files)}; export it in this format first')
    item = files[file_format or next(iter(files))]
    return Choice(
        path / item['path'],
        default_name(f'{report["model"]}-{report["dataset"]}'),
        figures_of(report, item),
        path / FOLDER,
    )


def figures_of(report: Record, item: Record) -> dict[str, Any]:
    """What a report says of a file."""
    return {
        **{key: report[key] for key in ('model', 'dataset', 'learners')},
        **{key: item[key] for key in FIGURES if key in item},
    }


def _ports(served: ServedFile) -> list[str]:
    return [
        f'{what}: ' + ', '.join(f'{tensor.name} {tensor.datatype} {[-1, *tensor.shape]}' for tensor in tensors)
        for what, tensors in (('takes', served.inputs), ('gives', served.outputs))
    ] + ([f'labels: {len(served.labels)}'] if served.labels else [])
