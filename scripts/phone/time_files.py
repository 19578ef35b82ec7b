"""Times `.tflite` files on phones with LiteRT's `benchmark_model`.

Started by `scripts/time_on_phone.sh`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pocketflow.scripts.phone.adb import Adb, Device, chosen, last_line
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export.device_latency import parse_benchmark
from pocketflow.utils.export.format_names import UNCOMPRESSED, formats
from pocketflow.utils.system.child_process import PACKAGE

FOLDER = '/data/local/tmp'
"""Where programs may be run on any device."""
MACHINES = {183: 'arm64-v8a', 40: 'armeabi-v7a', 62: 'x86_64', 3: 'x86', 243: 'riscv64'}
"""Number of the processor in the header of a program -> Android's name of its interface."""
BASELINE_FOLDER = 'baseline'
Result = Mapping[str, float | int]


@dataclasses.dataclass(frozen=True)
class ToolOptions:
    """Arguments of `benchmark_model`, and the cores that it may use."""

    num_threads: int
    warmup_runs: int
    num_runs: int
    use_xnnpack: str | None
    use_gpu: bool
    cores: str | None
    others: tuple[str, ...] = ()

    def command(self, tool: str, file: str) -> str:
        """The command line on the device."""
        words = [
            *(['taskset', self.cores] if self.cores else []),
            tool,
            f'--graph={file}',
            f'--num_threads={self.num_threads}',
            f'--warmup_runs={self.warmup_runs}',
            f'--num_runs={self.num_runs}',
            *([f'--use_xnnpack={self.use_xnnpack}'] if self.use_xnnpack else []),
            *(['--use_gpu=true'] if self.use_gpu else []),
            *self.others,
        ]
        return shlex.join(words)


def check_tool(path: Path, interface: str) -> None:
    """Raises a `UsageError` if a program cannot run on a device of this interface (as `arm64-v8a`)."""
    with path.open('rb') as file:
        head = file.read(20)
    if head[:4] != b'\x7fELF' or len(head) < 20:
        raise UsageError(f'--tool={path}: is no program for Android; give benchmark_model built for {interface}')
    machine = MACHINES.get(int.from_bytes(head[18:20], 'little'), 'another processor')
    if interface and machine != interface:
        raise UsageError(f'--tool={path}: is built for {machine}, and the phone has {interface}')


def time_file(device: Device, tool: str, path: Path, options: ToolOptions, limit: float) -> tuple[str, Result]:
    """Runs a file; returns all that the tool printed, and the times in it.

    Raises:
      PocketFlowError: the file cannot be copied, or the tool fails or prints no result.
    """
    target = device.push(path, 'model.tflite')
    finished = device.shell(options.command(tool, target), limit)
    if finished.status:
        raise PocketFlowError(
            f'{path}: benchmark_model failed on {device.serial} (exit code {finished.status}: '
            f'{reason_of(finished.output)})'
        )
    try:
        return finished.output, parse_benchmark(finished.output)
    except UsageError:
        raise PocketFlowError(
            f'{path}: benchmark_model printed no result on {device.serial} ({reason_of(finished.output)})'
        ) from None


def reason_of(output: str) -> str:
    """The line of a failed run that says most: the last with an error, else the last."""
    errors = [line for line in output.splitlines() if re.search(r'error|fail|not found|denied|abort', line, re.I)]
    return last_line('\n'.join(errors) or output)


@contextlib.contextmanager
def folder_on(adb: Adb, serial: str) -> Iterator[Device]:
    """The device, with a folder that is removed afterwards."""
    device = Device(adb, serial, f'{FOLDER}/pocketflow-{os.getpid()}')
    made = device.shell(f'mkdir -p {device.folder}', 60)
    if made.status:
        raise PocketFlowError(f'{serial}: {device.folder} cannot be made ({last_line(made.output)})')
    try:
        yield device
    finally:
        with contextlib.suppress(PocketFlowError):
            device.shell(f'rm -rf {device.folder}', 60)


def name_in_report(path: Path) -> str | None:
    """The name of a file in `--device_latency`; None if it has none."""
    if path.parent.name == BASELINE_FOLDER:
        return UNCOMPRESSED
    found = re.fullmatch(r'model_(\w+)\.tflite', path.name)
    return found[1] if found and found[1] in formats else None


def files_of(arguments: argparse.Namespace) -> list[Path]:
    """The files to time; of a run, all of it if none is given.

    Raises:
      UsageError: a file is missing or no `.tflite` file, the run has none, or one has no place in its report.
    """
    run, files = arguments.run_dir, list(arguments.files)
    if run is not None:
        if not (run / 'flags.txt').is_file():
            raise UsageError(f'--run_dir={run}: holds no run (flags.txt is missing)')
        files = files or sorted([*(run / BASELINE_FOLDER).glob('*.tflite'), *run.glob('model_*.tflite')])
    if not files:
        raise UsageError(
            f'--run_dir={run}: holds no .tflite files' if run else 'name the files: time_on_phone.sh FILE.tflite...'
        )
    for path in files:
        if not path.is_file():
            raise UsageError(f'{path}: no such file')
        with path.open('rb') as file:
            if file.read(8)[4:] != b'TFL3':
                raise UsageError(f'{path}: not a .tflite file')
        if run is not None and (name_in_report(path) is None or run.resolve() not in path.resolve().parents):
            raise UsageError(f'{path}: is no file of --run_dir={run}; time it without --run_dir')
    return files


def table(times: Mapping[tuple[str, Path], Result]) -> str:
    """The times in milliseconds, a line per phone and file."""
    keys = ('mean', 'p50', 'min', 'std', 'count')
    rows = [('phone', 'file', 'mean ms', 'p50 ms', 'min ms', 'std ms', 'runs')]
    for (serial, path), result in times.items():
        cells = [result.get(key) for key in keys]
        texts = ['-' if cell is None else str(cell) if isinstance(cell, int) else f'{cell:.3f}' for cell in cells]
        rows.append((serial, str(path), *texts))  # type: ignore[arg-type]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return '\n'.join(
        '  '.join(cell.ljust(width) if place < 2 else cell.rjust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    )


def add_to_report(run: Path, outputs: Mapping[Path, Path]) -> None:
    """Exports the run again, which measures its files here and adds the times on the phone to its report.

    Args:
      run: its directory.
      outputs: file -> what the tool printed.
    """
    spec = ','.join(f'{name_in_report(path)}={output}' for path, output in outputs.items())
    command = [
        sys.executable,
        str(PACKAGE / 'main.py'),
        f'--flagfile={run / "flags.txt"}',
        f'--run_dir={run}',
        '--exec_mode=export',
        f'--device_latency={spec}',
    ]
    done = subprocess.run(command)
    if done.returncode:
        raise PocketFlowError(f'the times are not in the report of {run}: {shlex.join(command)} failed')


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='time_on_phone.sh', description='Times .tflite files on phones.', allow_abbrev=False
    )
    add = parser.add_argument
    add('--tool', type=Path, required=True, help='benchmark_model, built for the processor of the phone')
    add('-s', dest='serials', action='append', default=[], metavar='SERIAL', help='phone; may be repeated')
    add('--adb', default='adb', help='the program adb; default: the one in PATH')
    add('--num_threads', type=int, default=1)
    add('--warmup_runs', type=int, default=10)
    add('--num_runs', type=int, default=100)
    add('--use_xnnpack', choices=('true', 'false'), help="default: the tool's")
    add('--use_gpu', action='store_true')
    add('--cores', help='mask of the cores to use, for taskset: f0 for the last four of eight')
    add('--tool_flag', action='append', default=[], help='further flag of the tool; may be repeated')
    add('--time_limit', type=float, default=600, help='seconds for a file')
    add('--run_dir', type=Path, help='finished run, whose report gets the times')
    add('--out', type=Path, help='folder for all that the tool prints; default: RUN/device, or none')
    add('files', nargs='*', type=Path)
    arguments = parser.parse_args(words)
    for name, least in (('num_threads', 1), ('warmup_runs', 0), ('num_runs', 1)):
        if getattr(arguments, name) < least:
            parser.error(f'--{name}={getattr(arguments, name)}: must be >= {least}')
    if arguments.cores and not re.fullmatch('[0-9a-fA-F]+', arguments.cores):
        parser.error(f'--cores={arguments.cores}: must be a hexadecimal mask, as f0')
    return arguments


def run(words: Sequence[str] | None = None) -> None:
    """Times the files on the phones; prints a table.

    Raises:
      UsageError: something is missing.
      PocketFlowError: after the table: some files could not be timed.
    """
    arguments = parsed(words)
    files = files_of(arguments)
    if not arguments.tool.is_file():
        raise UsageError(
            f'--tool={arguments.tool}: no such file; docs/deploy.md says where to get benchmark_model of LiteRT'
        )
    adb = Adb(arguments.adb)
    serials = chosen(adb.states(), arguments.serials)
    if arguments.run_dir is not None and len(serials) > 1:
        raise UsageError('a report holds the times of one phone; give one -s SERIAL with --run_dir')
    options = ToolOptions(
        arguments.num_threads,
        arguments.warmup_runs,
        arguments.num_runs,
        arguments.use_xnnpack,
        arguments.use_gpu,
        arguments.cores,
        tuple(arguments.tool_flag),
    )
    out = arguments.out or (arguments.run_dir / 'device' if arguments.run_dir else None)
    with contextlib.ExitStack() as stack:
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        times, outputs, failed = _time_all(adb, serials, files, options, arguments, folder)
        if times:
            print(table(times), flush=True)
        if arguments.run_dir is not None and outputs:
            add_to_report(arguments.run_dir, outputs)
    if failed:
        raise PocketFlowError('; '.join(failed))


def _time_all(
    adb: Adb,
    serials: Sequence[str],
    files: Sequence[Path],
    options: ToolOptions,
    arguments: argparse.Namespace,
    folder: Path,
) -> tuple[dict[tuple[str, Path], Result], dict[Path, Path], list[str]]:
    """Times by phone and file, what was printed by file, and the failures."""
    times: dict[tuple[str, Path], Result] = {}
    outputs: dict[Path, Path] = {}
    failed: list[str] = []
    for serial in serials:
        try:
            with folder_on(adb, serial) as device:
                check_tool(arguments.tool, device.property('ro.product.cpu.abi'))
                tool = device.push(arguments.tool, 'benchmark_model')
                device.shell(f'chmod 755 {tool}', 60)
                for path in files:
                    try:
                        text, times[serial, path] = time_file(device, tool, path, options, arguments.time_limit)
                    except PocketFlowError as error:
                        failed.append(str(error))
                        continue
                    outputs[path] = folder / serial / f'{path.parent.name}_{path.stem}.txt'
                    outputs[path].parent.mkdir(parents=True, exist_ok=True)
                    outputs[path].write_text(text, encoding='utf-8')
        except UsageError:
            raise
        except PocketFlowError as error:
            failed.append(str(error))
    return times, outputs, failed


def main() -> int:
    """Reports errors as one line."""
    try:
        run()
    except PocketFlowError as error:
        print(f'time_on_phone.sh: {error}', file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == '__main__':
    sys.exit(main())
