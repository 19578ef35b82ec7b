#!/usr/bin/env bash
# Runs main.py with several workers that train one model, in an environment that is created at the first call.
#
#   scripts/run_horovod.sh -n=2                                          the quickstart, with two workers
#   scripts/run_horovod.sh -n=2 --flagfile=FILE --learner=weight-sparse  other flags are passed to main.py
#   scripts/run_horovod.sh -n=2 nets/resnet_at_cifar10_run.py --learner=uniform
#   scripts/run_horovod.sh -n=8 -H=host1:4,host2:4 --flagfile=FILE       over ssh; see docs/clusters.md
#
# -n=K or --nb_gpus=K: number of workers: one per GPU, or on machines without GPUs any number that shares the cores.
# -H=HOST:SLOTS,...: hosts of the workers. --srun: -H names hosts of this Slurm job. --mpi: use Open MPI's mpirun.
# --verbose_workers: shows the output of all workers, not only of worker 0.
# --checkpoint_time=S: seconds that workers have to end after SIGTERM or SIGINT; default 120.
# PYTHON: the interpreter that creates .venv. POCKETFLOW_DRY_RUN=1: prints the command, one word per line.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"  # `sh scripts/run_horovod.sh` works too
set -euo pipefail

LIB="$(dirname "${BASH_SOURCE[0]}")/lib"
# shellcheck source=scripts/lib/env.sh
source "$LIB/env.sh"
# shellcheck source=scripts/lib/launch.sh
source "$LIB/launch.sh"

LAUNCH_ARGS=()
WORDS=()

# split_words ARGS...: splits the arguments into the launcher's, LAUNCH_ARGS, and all others, WORDS.
split_words() {
  local word
  for word in "$@"; do
    case "$word" in
      -H=?* | --srun | --mpi | --verbose_workers) LAUNCH_ARGS+=("$word") ;;
      --checkpoint_time=*)
        [[ "$word" =~ =[0-9]+$ ]] || die 2 "$word: the time is a whole number of seconds"
        LAUNCH_ARGS+=("$word")
        ;;
      -H | -H=) die 2 "$word: the hosts are written -H=host1:4,host2:4" ;;
      *) WORDS+=("$word") ;;
    esac
  done
}

# Built once; that it loads is checked again only if the environment has changed.
ensure_horovod() {
  ensure_env ''
  is_installed horovod && return
  "$ROOT/scripts/install_horovod.sh"
  write_stamp horovod
}

split_words "$@"
parse_launch ${WORDS[@]+"${WORDS[@]}"}
((${#MAIN_ARGS[@]})) || MAIN_ARGS=("--flagfile=$ROOT/scripts/flags/quickstart.flags")

[[ "${POCKETFLOW_DRY_RUN:-}" == 1 ]] || ensure_horovod
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
run_or_show "$VENV_PYTHON" "$ROOT/scripts/workers/launch.py" "-n=$NUM_WORKERS" ${LAUNCH_ARGS[@]+"${LAUNCH_ARGS[@]}"} -- \
  "$VENV_PYTHON" "$ROOT/main.py" --enbl_multi_gpu "${MAIN_ARGS[@]}"
