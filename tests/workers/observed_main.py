"""main.py, of which each worker notes what its trainings end with, and something may happen in the middle of one.

python scripts/workers/launch.py -n=3 -- python tests/workers/observed_main.py FOLDER EVENT FLAGS...

EVENT: `kill:RANK:STEP` kills that worker, `stop:RANK:STEP` lets it ask the launcher to stop; `-` is none.
"""

from __future__ import annotations

import pocketflow.scripts.quiet_tensorflow  # noqa: F401  isort: skip  (comes before all that needs TensorFlow)

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from pocketflow.main import run
from pocketflow.utils.training.trainer import Trainer


def note_endings(file: Path) -> None:
    """Appends a line per training: its label, the steps, and a digest of all that it has changed."""
    fit = Trainer.fit

    def observed(self, *arguments):
        result = fit(self, *arguments)
        variables = [*self.model.variables, *self.variables, *self.parts.state, *self.optimizer.variables]
        digest = hashlib.sha256(b''.join(variable.numpy().tobytes() for variable in variables)).hexdigest()
        with file.open('a', encoding='utf-8') as lines:
            lines.write(json.dumps([self.label, int(self.optimizer.iterations), digest]) + '\n')
        return result

    Trainer.fit = observed


def let_happen(event: str, at: int, folder: Path) -> None:
    """What shall happen to this worker when it has done that many steps."""
    after = Trainer._after

    def eventful(self, step, *arguments):
        if step >= at and event == 'kill':
            (folder / 'killed').touch()
            os.kill(os.getpid(), signal.SIGKILL)
        after(self, step, *arguments)
        if step == at:
            os.kill(grandparent(), signal.SIGTERM)
        if step >= at:
            time.sleep(1)  # the signal travels

    Trainer._after = eventful


def grandparent() -> int:
    """The launcher: between it and a worker is the worker's agent."""
    return int(Path(f'/proc/{os.getppid()}/stat').read_text(encoding='utf-8').rpartition(')')[2].split()[1])


def main() -> int:
    folder, event, rank = Path(sys.argv.pop(1)), sys.argv.pop(1), os.environ['HOROVOD_RANK']
    note_endings(folder / f'{rank}.jsonl')
    what, _, where = event.partition(':')
    if where.split(':')[0] == rank:
        let_happen(what, int(where.split(':')[1]), folder)
    return run(sys.argv)


if __name__ == '__main__':
    sys.exit(main())
