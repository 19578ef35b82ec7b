"""PocketFlow's command line: flags -> model/dataset pair -> learner(s) -> run directory.

    python main.py --model=resnet --dataset=cifar10 --learner=chn-pruned-rmt --cpr_prune_ratio=0.5

Every run owns one directory: --run_dir, or one below runs/ that is named after its flags.
"""
# The text above begins --help. This is the only file that sees absl's flags; everything below it takes plain values.

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pocketflow.utils.system import interrupts
from pocketflow.utils.system.quiet import quiet_native_output

if __name__ == '__main__':
    interrupts.end_at_once()

# TensorFlow's native code talks about absent GPUs while it is loaded and first used, before any flag is read.
with contextlib.nullcontext() if '--debug' in sys.argv else quiet_native_output():
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '0' if '--debug' in sys.argv else '2')
    import tensorflow as tf

    tf.config.list_physical_devices()
    if not {'HOROVOD_RANK', 'OMPI_COMM_WORLD_RANK'} & set(os.environ):  # workers first share the devices out
        tf.zeros([1])

import tf_keras as keras
from absl import flags, logging

from pocketflow.datasets.abstract_dataset import DatasetOptions, Shard
from pocketflow.hp_optimizer import names_in_space
from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners import LEARNERS
from pocketflow.learners.abstract_learner import LearnerOptions
from pocketflow.learners.program.modes import EXEC_MODES, FLAGS_OF_MODES, Invocation
from pocketflow.learners.program.pipeline import FULL_PRECISION, check_chain, starts_from_baseline, training_fingerprint, trains_from_scratch
from pocketflow.learners.search import SearchedOptions
from pocketflow.nets import PAIRS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.utils.runs import log_file
from pocketflow.utils.training.distillation import DistillationOptions
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export.formats import CONTAINER
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.distributed.gradient_compression import CompressionOptions
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, MultiGpuOptions, Workers, company, connect
from pocketflow.utils.options.needs import refuse_idle_flags, refuse_replaced_flags
from pocketflow.utils.options import Options, define_flags, flag_lines, from_flags, indecisive_flags, option, option_fields, superseded_flags
from pocketflow.utils.runs.run_directory import FLAGS_FILE, RunDirectory, fingerprint
from pocketflow.utils.system import paths
from pocketflow.utils.system.storage_failures import storage_failure
from pocketflow.utils.system.streams import say
from pocketflow.utils.training.trainer import TrainerOptions
from pocketflow.utils.reports.verdict import VerdictOptions, refuse_conditions


@dataclasses.dataclass(frozen=True)
class PairOptions(Options):
    """Which model/dataset pair; read before all other flags, because the pair brings flags of its own."""

    model: str | None = option('model', None, 'network')
    dataset: str | None = option('dataset', None, 'data set')
    model_helper: str | None = option('model_helper', None, "file with a user's own model/dataset pair")


@dataclasses.dataclass(frozen=True)
class MainOptions(Options):
    """What to do, and where."""

    learner: str = option('learner', FULL_PRECISION, 'learner, or several in order, separated by commas')
    seed: int = option('seed', 0, 'seeds Python, NumPy, TensorFlow and the data order', low=0, high=2**30)
    deterministic: bool = option('deterministic', False, 'bit-identical repetition: deterministic operations of '
                                 'TensorFlow only, which may be slower', decides=False)


@dataclasses.dataclass(frozen=True)
class ProcessOptions(Options):
    """What does not change a result, and is therefore not recorded in the run directory."""

    exec_mode: str = option('exec_mode', 'train', 'train: compress, export and report; eval, export, benchmark: of a '
                            'finished run; eval, export: also of the model at --save_path', choices=tuple(EXEC_MODES))
    run_dir: str | None = option('run_dir', None, 'directory of the run; default: runs/PAIR/LEARNER-FINGERPRINT')
    debug: bool = option('debug', False, 'show debug messages, and tracebacks of errors')


SHARED_OPTIONS = (MainOptions, LearnerOptions, TrainerOptions, DistillationOptions, ExportOptions, CompressionOptions)
SEARCH_OPTIONS = (SearchOptions, DdpgOptions)
UNRECORDED_OPTIONS = (ProcessOptions, VerdictOptions, MultiGpuOptions)
SEARCHES = ('--ws_prune_ratio_prtl=optimal, --uql_enbl_rl_agent, --nuql_enbl_rl_agent, --cpr_prune_option=auto or '
            '--hpo_space=FILE.yaml')
"""What makes a learner search."""
SPACE_NOTE = '# sha256 of --hpo_space'
"""Begins the comment of a flag file that changes with the text of the searched space."""
WORKERS_NOTE = '# workers'
"""Begins the comment of a flag file that says how many workers have begun the run; without it, it was one."""


class CommandLine:
    """The parsed command line.

    Args:
      argv: program name and arguments.

    Raises:
      UsageError: anything that cannot work; nothing has been read or written yet.
    """

    def __init__(self, argv: Sequence[str]):
        self.argv = list(argv)
        self.of_run = flags_of_run(self.argv)
        argv = [self.argv[0], *self.of_run, *self.argv[1:]]
        pair = parse((PairOptions,), argv, known_only=True)
        self.pair_options = from_flags(PairOptions, pair)
        self.pair_name, self.helper_class = find_pair(self.pair_options)
        self.helper_lines = helper_lines(self.pair_options)
        self.flag_values = parse(self.options_classes(), argv)
        self.learner_names = learner_names(self.options(MainOptions).learner)
        self.refuse_speed_of_containers()
        self.refuse_unused_flags()
        self.refuse_unused_search_flags()
        self.refuse_other_than_recorded()
        self.refuse_flags_without_effect()
        refuse_contradictions(self.learner_names, *map(self.options, (ProcessOptions, LearnerOptions,
                                                                      DistillationOptions, VerdictOptions)))

    def options_classes(self, learners: Iterable[str] = LEARNERS) -> list[type[Options]]:
        """Every options class whose flags the command line offers for this pair, or only for these learners."""
        return [PairOptions, *SHARED_OPTIONS, *SEARCH_OPTIONS, *UNRECORDED_OPTIONS, self.helper_class.net_options_class,
                self.helper_class.dataset_class.options_class, *(LEARNERS.get(name).options_class for name in learners)]

    def options(self, options_class: type[Options]) -> Options:
        return from_flags(options_class, self.flag_values)

    @property
    def searches(self) -> bool:
        """Whether anything is searched."""
        return self.options(SearchOptions).space is not None or any(
            isinstance(options, SearchedOptions) and options.searches for options in self.learner_options().values())

    def data_options(self) -> DatasetOptions:
        """Those of the data set; a search judges by samples that nothing is trained on."""
        options = self.options(self.helper_class.dataset_class.options_class)
        return options.replace(hold_out=True) if self.searches else options

    def learner_options(self) -> dict[str, Options]:
        return {name: self.options(LEARNERS.get(name).options_class) for name in self.learner_names}

    def refuse_speed_of_containers(self) -> None:
        """They cannot be timed, which would only be said after the training."""
        export, process = self.options(ExportOptions), self.options(ProcessOptions)
        is_required = self.options(VerdictOptions).require_faster and process.exec_mode == 'train'
        if is_required and export.names and set(export.names) <= {CONTAINER}:
            raise UsageError(f'--require_faster: none of --export_formats={export.formats} can be timed; add a .tflite '
                             'format, or drop --require_faster')

    def refuse_unused_flags(self) -> None:
        """A learner's flag without that learner would be ignored silently, and the wrong experiment run."""
        used = {field.metadata['flag'] for name in self.learner_names
                for field in option_fields(LEARNERS.get(name).options_class)}
        for name in LEARNERS:
            for field in option_fields(LEARNERS.get(name).options_class):
                flag = field.metadata['flag']
                if self.flag_values[flag].present and flag not in used:
                    raise UsageError(f'--{flag} belongs to --learner={name}, but --learner='
                                     f'{",".join(self.learner_names)} is selected; change the learner or drop the flag')

    def refuse_unused_search_flags(self) -> None:
        """Flags of searches where nothing is searched."""
        given = [field for options_class in SEARCH_OPTIONS for field in option_fields(options_class)
                 if self.flag_values[field.metadata['flag']].present]
        if given and not self.searches:
            raise UsageError(f'--{given[0].metadata["flag"]} is about searches, but nothing is searched; also give '
                             f'{SEARCHES}, or drop the flag')

    def refuse_flags_without_effect(self) -> None:
        """Flags that others leave without effect; those of a finished run were looked at when it began."""
        if self.options(ProcessOptions).exec_mode != 'train':
            refuse_idle_flags((*UNRECORDED_OPTIONS, ExportOptions), self.flag_values)
            return
        refuse_idle_flags(self.options_classes(self.learner_names), self.flag_values,
                          names_in_space(self.options(SearchOptions).space))
        refuse_replaced_flags({name: LEARNERS.get(name).replaced_flags for name in self.learner_names}, LearnerOptions,
                              self.flag_values)

    def refuse_other_than_recorded(self) -> None:
        """A mode that uses a finished run cannot change what has made it."""
        if not self.of_run:
            return
        process = self.options(ProcessOptions)
        classes = [part for part in self.options_classes() if part not in UNRECORDED_OPTIONS]
        free = {'model_helper', *FLAGS_OF_MODES[process.exec_mode], *indecisive_flags(classes)}
        given, recorded = (parse(self.options_classes(), argv) for argv in (self.argv, [self.argv[0], *self.of_run]))
        for flag in (field.metadata['flag'] for part in classes for field in option_fields(part)):
            value, before = given[flag].value, recorded[flag].value
            if flag not in free and given[flag].present and value != before:
                made = 'without it' if before is None else f'with --{flag}={before}'
                raise UsageError(f'--{flag}={value}: --exec_mode={process.exec_mode} works on the run in '
                                 f'{process.run_dir}, which was made {made}; drop the flag')

    def superseded(self) -> dict[str, str]:
        """The given flags that have no effect any more, with the reasons."""
        return {flag: reason for flag, reason in superseded_flags(self.options_classes()).items()
                if self.flag_values[flag].present}

    def recorded(self, decisive: bool = False, nb_workers: int = 1) -> list[str]:
        """The flag file that repeats this run, or only those of its flags that decide results."""
        helper_file = self.pair_options.model_helper
        pair = self.pair_options.replace(model_helper=helper_file and str(Path(helper_file).resolve()))
        net = self.options(self.helper_class.net_options_class)
        search = SEARCH_OPTIONS if self.searches else ()
        parts = [pair, *map(self.options, (*SHARED_OPTIONS, *search)), net, self.data_options(),
                 *self.learner_options().values()]
        return [*flag_lines(parts, decisive), *self.helper_lines, *space_lines(self.options(SearchOptions).space),
                *workers_lines(nb_workers)]

    def training_name(self, nb_workers: int = 1) -> str:
        """Names the full-precision model that this command line would train, for look-ups in the zoo."""
        parts = [self.options(self.helper_class.net_options_class), self.data_options(), self.options(TrainerOptions)]
        seed = MainOptions(seed=self.options(MainOptions).seed)
        together = [*workers_lines(nb_workers), *compression_lines(self.options(CompressionOptions), nb_workers)]
        return training_fingerprint(self.pair_name, [*parts, seed],
                                    [*self.helper_lines, *together])

    def run_path(self, nb_workers: int = 1) -> Path:
        """`--run_dir`, or a directory that equal flags share and different flags do not."""
        given = self.options(ProcessOptions).run_dir
        if given:
            return Path(given)
        shared, path = self.options(LearnerOptions), self.default_run_path(nb_workers)
        if is_export_of_given_model(self.options(ProcessOptions), shared) and not RunDirectory(path).recorded_flags():
            return path.parent / f'export-{fingerprint(self.recorded(decisive=True))}'
        return path

    def default_run_path(self, nb_workers: int = 1) -> Path:
        """Where this command line trains and compresses unless told otherwise.

        What other numbers of workers have left unfinished is continued; what they have finished can be evaluated and
        exported.
        """
        own = self.own_path(nb_workers)
        if RunDirectory(own).recorded_flags():
            return own
        wanted = self.options(ProcessOptions).exec_mode != 'train'
        others = [path for path in self.default_run_paths() if (path / 'report.json').is_file() == wanted]
        return max(others, key=lambda path: (path / FLAGS_FILE).stat().st_mtime, default=own)

    def own_path(self, nb_workers: int) -> Path:
        """The directory of a run that so many workers begin."""
        shared, distillation = self.options(LearnerOptions), self.options(DistillationOptions)
        name = fingerprint(self.recorded(decisive=True)) + (f'-{nb_workers}workers' if nb_workers > 1 else '')
        if self.learner_names == [FULL_PRECISION] and not (shared.warm_start or distillation.enabled):
            # Where runs with the same pair and training flags look for it.
            return Path(shared.zoo_dir) / f'{self.training_name(nb_workers)}-{name}'
        return Path(shared.zoo_dir) / self.pair_name / f'{"+".join(self.learner_names)}-{name}'

    def default_run_paths(self) -> list[Path]:
        """The directories of runs with these flags, whatever the number of workers."""
        pattern = f'{"+".join(self.learner_names)}-*{fingerprint(self.recorded(decisive=True))}*'
        folder = Path(self.options(LearnerOptions).zoo_dir) / self.pair_name
        return [file.parent for file in sorted(folder.glob(f'{pattern}/{FLAGS_FILE}'))]

    def helper(self, workers: Workers = ALONE) -> AbstractModelHelper:
        dataset_class, missing = self.helper_class.dataset_class, sorted(self.helper_class.__abstractmethods__)
        if missing:
            raise UsageError(f'--model_helper={self.pair_options.model_helper}: class {self.helper_class.__name__} '
                             f'does not define {", ".join(missing)}; see docs/extending.md')
        dataset = dataset_class(self.data_options(), seed=self.options(MainOptions).seed)
        dataset.shard = Shard(workers.rank, workers.size)
        return self.helper_class(self.options(self.helper_class.net_options_class), dataset)

    def invocation(self, workers: Workers = ALONE) -> Invocation:
        """Everything that the execution modes need, as plain values."""
        run = RunDirectory(self.run_path(workers.size))
        return Invocation(
            helper=self.helper(workers), run=run, learner_names=tuple(self.learner_names),
            learner_options=self.learner_options(), shared=self.options(LearnerOptions),
            trainer=self.options(TrainerOptions), distillation=self.options(DistillationOptions),
            export=self.options(ExportOptions), verdict=self.options(VerdictOptions),
            seed=self.options(MainOptions).seed, recorded_flags=tuple(self.recorded(nb_workers=workers.size)),
            free_flags=(*indecisive_flags(self.options_classes()), WORKERS_NOTE, *self._free_notes()),
            zoo_name=self.training_name(begun_by(run.recorded_flags()) or workers.size),
            command=shlex.join(['python', *self.argv]), workers=workers,
            compression=self.options(CompressionOptions), search=self.options(SearchOptions),
            ddpg=self.options(DdpgOptions))

    def _free_notes(self) -> tuple[str, ...]:
        """A finished run can be used without the file with its space."""
        return () if self.options(ProcessOptions).exec_mode == 'train' else (SPACE_NOTE,)


def parse(options_classes: Sequence[type[Options]], argv: Sequence[str], known_only: bool = False) -> flags.FlagValues:
    """Parses argv strictly (or, for the first look, only the known flags), flag files included."""
    flag_values = flags.FlagValues()
    for options_class in options_classes:
        define_flags(options_class, flag_values)
    try:
        rest = flag_values(argv, known_only=known_only)
    except UnicodeDecodeError as error:
        raise UsageError(f'--flagfile: holds no text ({error})') from error
    except (flags.Error, OSError) as error:
        reason = str(error).removeprefix('ERROR:: ')  # absl's own prefix for missing flag files
        raise UsageError(f'{reason}; --help lists the most important flags, --helpfull all') from error
    for name in flag_values:
        if isinstance(flag_values[name].value, str):
            paths.refuse_unusable_text(f'--{name}', flag_values[name].value)
    positional = [] if known_only else rest[1:]
    if positional:
        raise UsageError(f'unexpected argument {positional[0]!r}; flags look like --name=value')
    return flag_values


def learner_names(chain: str) -> list[str]:
    """The known learners of `--learner=a,b`."""
    names = [name.strip() for name in chain.split(',')]
    if '' in names:
        raise UsageError(f'--learner={chain}: an empty name; give one learner, or several separated by single commas')
    for name in names:
        LEARNERS.get(name)
    check_chain(names)
    return names


def refuse_contradictions(names: Sequence[str], process: ProcessOptions, shared: LearnerOptions,
                          distillation: DistillationOptions, verdict: VerdictOptions) -> None:
    """Combinations of which a part would be ignored silently."""
    chosen = f'--learner={",".join(names)}'
    if FULL_PRECISION in names[1:]:
        raise UsageError(f'{chosen}: {FULL_PRECISION} trains the uncompressed model, so it can only come first')
    if shared.warm_start and (names[0] != FULL_PRECISION or shared.save_path is None):
        raise UsageError(f'--enbl_warm_start goes with --learner={FULL_PRECISION} and --save_path=MODEL; given: '
                         f'{chosen} --save_path={shared.save_path or ""}')
    if process.exec_mode in ('eval', 'benchmark'):
        refuse_conditions(verdict, f'--exec_mode={process.exec_mode} makes no verdict')
    if (process.exec_mode == 'train' and trains_from_scratch(names, shared, distillation)
            and shared.save_path is not None):
        raise UsageError(f'--save_path={shared.save_path}: {chosen} starts from random weights; choose another '
                         'learner, or give --enbl_warm_start')
    if not starts_from_baseline(names, shared):
        refuse_conditions(verdict, f'{chosen} compresses nothing')


def flags_of_run(argv: list[str]) -> list[str]:
    """What to put in front of the arguments of a mode that works on a finished run, so that `--run_dir` alone is
    enough: the argument that reads the run's own flags.
    """
    process = from_flags(ProcessOptions, parse((ProcessOptions,), argv, known_only=True))
    if process.exec_mode == 'train' or process.run_dir is None:
        return []
    run = RunDirectory(process.run_dir)
    if run.recorded_flags():
        return [f'--flagfile={run / FLAGS_FILE}']
    if is_export_of_given_model(process, from_flags(LearnerOptions, parse((LearnerOptions,), argv, known_only=True))):
        return []
    raise UsageError(f'--run_dir={process.run_dir}: holds no run ({FLAGS_FILE} is missing); --exec_mode='
                     f'{process.exec_mode} works on a finished one')


def is_export_of_given_model(process: ProcessOptions, shared: LearnerOptions) -> bool:
    """Whether a model that no run made may be exported: `--exec_mode=export --save_path=MODEL`."""
    return process.exec_mode == 'export' and shared.save_path is not None


def find_pair(given: PairOptions) -> tuple[str, type[AbstractModelHelper]]:
    """The pair's name and class."""
    if given.model_helper is not None:
        return load_helper_file(Path(given.model_helper), given)
    pairs = [name.split('_at_') for name in PAIRS]
    for flag, value, known in (('model', given.model, {model for model, _ in pairs}),
                               ('dataset', given.dataset, {data for _, data in pairs})):
        if value not in known:
            what = f'--{flag}={value}: unknown {flag}' if value else f'--{flag} is missing'
            raise UsageError(f'{what}; known: {", ".join(sorted(known))} (or --model_helper=FILE.py for your own pair)')
    name = f'{given.model}_at_{given.dataset}'
    if name not in PAIRS:
        partners = ', '.join(data for model, data in pairs if model == given.model)
        raise UsageError(f'--model={given.model} --dataset={given.dataset}: no such pair; {given.model} goes with '
                         f'{partners} (or --model_helper=FILE.py for your own pair)')
    return name, PAIRS.get(name)


def load_helper_file(path: Path, given: PairOptions) -> tuple[str, type[AbstractModelHelper]]:
    """Imports a user's file and returns the pair that it registers."""
    if not path.is_file():
        raise UsageError(f'--model_helper={path}: no such file')
    if path.suffix != '.py':
        raise UsageError(f'--model_helper={path}: not a Python file; its name must end in .py')
    known = set(PAIRS)
    spec = importlib.util.spec_from_file_location(f'model_helper_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f'--model_helper={path}: importing it failed: {type(error).__name__}: {error}') from error
    # A file that this process has read before registers its pairs anew, under names that are known.
    own = {entry for entry in vars(module).values() if getattr(entry, '__module__', None) == spec.name
           and isinstance(entry, type)}
    added = [name for name in PAIRS if fits(name, given) and (name not in known or PAIRS.get(name) in own)]
    if len(added) != 1:
        raise UsageError(f"--model_helper={path}: expected one pair registered by @PAIRS.register('MODEL_at_DATASET'), "
                         f"found {', '.join(added) or 'none'}; name one of several by --model and --dataset")
    helper_class = PAIRS.get(added[0])
    if not hasattr(helper_class, 'dataset_class'):
        raise UsageError(f'--model_helper={path}: class {helper_class.__name__} does not define dataset_class; see '
                         'docs/extending.md')
    return added[0], helper_class


def helper_lines(given: PairOptions) -> list[str]:
    """A comment for the flag file that changes with the text of the user's own `--model_helper`."""
    if given.model_helper is None:
        return []
    return [f'# sha256 of --model_helper: {hashlib.sha256(Path(given.model_helper).read_bytes()).hexdigest()[:8]}']


def space_lines(space: str | None) -> list[str]:
    """A comment for the flag file that changes with the text of `--hpo_space`, if there is such a file."""
    if space is None or not Path(space).is_file():
        return []
    return [f'{SPACE_NOTE}={hashlib.sha256(Path(space).read_bytes()).hexdigest()[:8]}']


def fits(name: str, given: PairOptions) -> bool:
    """Whether the pair of that name is what `--model` and `--dataset` ask for, as far as they are given."""
    model, _, dataset = name.partition('_at_')
    return given.model in (None, model) and given.dataset in (None, dataset)


def workers_lines(nb_workers: int) -> list[str]:
    """A comment for the flag file; one worker is not worth mentioning."""
    return [f'{WORKERS_NOTE}={nb_workers}'] if nb_workers > 1 else []


def begun_by(recorded_flags: Sequence[str]) -> int | None:
    """How many workers have begun the run that has recorded these flags; `None` if there is none."""
    notes = [line.removeprefix(f'{WORKERS_NOTE}=') for line in recorded_flags if line.startswith(WORKERS_NOTE)]
    return int(notes[0]) if notes else 1 if recorded_flags else None


def compression_lines(compression: CompressionOptions, nb_workers: int) -> list[str]:
    """What gradient compression adds to the name of a model; one worker alone sends no gradients."""
    if nb_workers == 1 or compression.kind == 'none':
        return []
    return flag_lines([compression], decisive=True)


def usage(argv: Sequence[str]) -> str:
    """The text of `--help`, or, with the flags of the chosen pair, of `--helpfull`."""
    full = '--helpfull' in argv
    pairs = [name.split('_at_') for name in PAIRS]
    lines = [__doc__.strip(), '', 'Model/dataset pairs:',
             *(f'  --model={model} --dataset={data}' for model, data in pairs),
             '', 'Learners (--learner=NAME, or NAME,NAME to chain):',
             *(f'  {name:16} {LEARNERS.get(name).__doc__.splitlines()[0]}' for name in LEARNERS), '']
    classes = [PairOptions, MainOptions, ProcessOptions, VerdictOptions, MultiGpuOptions]
    if full:
        pair = from_flags(PairOptions, parse((PairOptions,), argv, known_only=True))
        helper_class = find_pair(pair)[1] if pair.model or pair.model_helper else PAIRS.get(next(iter(PAIRS)))
        classes += [*SHARED_OPTIONS[1:], *SEARCH_OPTIONS, helper_class.net_options_class,
                    helper_class.dataset_class.options_class]
        classes += [LEARNERS.get(name).options_class for name in LEARNERS]
    flag_values = flags.FlagValues()
    for options_class in classes:
        define_flags(options_class, flag_values, group=options_class.__name__)
    return '\n'.join(lines) + flag_values.get_help() + ('' if full else '\nAll flags: --helpfull\n')


def guarded(action: Callable[[], None], debug: bool) -> int:
    """Runs `action` and turns what it raises into one line and an exit code."""
    try:
        with interrupts.watched():
            action()
        return 0
    except interrupts.Interrupted as stop:
        logging.info('%s; the same command continues from here', stop)
        return stop.exit_code
    except Exception as error:
        line, exit_code = clear_line(error)
        if line is None:
            raise
        if debug:
            traceback.print_exc()
        say(f'error: {line}', sys.stderr)
        return exit_code


def clear_line(error: Exception) -> tuple[str | None, int]:
    """What a user is told of an error, and the exit code; no line for what nobody has foreseen."""
    if isinstance(error, PocketFlowError) and error.exit_code != PocketFlowError.exit_code:
        return str(error), error.exit_code
    # Such an error may have come from a full disk, which is then what there is to tell.
    foreseen = str(error) if isinstance(error, PocketFlowError) else None
    return storage_failure(error) or foreseen, PocketFlowError.exit_code


def dispatch(argv: Sequence[str]) -> None:
    """Does what `argv` says."""
    if {'--help', '-h', '--helpfull', '-help'} & set(argv):
        say(usage(argv))
        return
    with paths.explained():
        command = CommandLine(argv)
    for flag, reason in command.superseded().items():
        logging.warning('--%s has no effect any more: %s', flag, reason)
    workers = connect(command.options(MultiGpuOptions))  # before anything of TensorFlow is set up
    options = command.options(MainOptions)
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    with company():
        work(command, workers)


def work(command: CommandLine, workers: Workers) -> None:
    """One worker's part: modes other than train are the primary's alone."""
    mode = command.options(ProcessOptions).exec_mode
    if not workers.is_primary:
        logging.set_verbosity(logging.WARNING)
    if mode == 'train' or workers.is_primary:
        with paths.explained():
            invocation = command.invocation(workers if mode == 'train' else ALONE)
        EXEC_MODES[mode](invocation)


def run(argv: Sequence[str]) -> int:
    """Does what `argv` says; returns the exit code."""
    debug = wants_debug(argv)
    log_file.start(debug)
    return guarded(lambda: dispatch(argv), debug)


def wants_debug(argv: Sequence[str]) -> bool:
    """Whether `--debug` is given, be it in a flag file."""
    try:
        return from_flags(ProcessOptions, parse((ProcessOptions,), argv, known_only=True)).debug
    except UsageError:  # which the whole command line will raise again
        return '--debug' in argv


def console_main() -> None:
    """Entry point of the `pocketflow` command."""
    code = run(sys.argv)
    if code in interrupts.EXIT_CODES:
        interrupts.leave(code)
    sys.exit(code)


if __name__ == '__main__':
    console_main()
