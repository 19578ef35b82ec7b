#!/usr/bin/env bash
# Prints the Slurm batch script of a job with several workers, or submits it.
#
#   scripts/run_slurm.sh -n=8 --per_node=4 --flagfile=FILE               prints it
#   scripts/run_slurm.sh --submit -n=8 --per_node=4 --flagfile=FILE      makes the environment and submits it
#   scripts/run_slurm.sh -n=8 nets/resnet_at_cifar10_run.py --learner=uniform
#
# -n=K or --nb_gpus=K: the number of workers. --per_node=P: how many of them on one host; default: all, up to 4.
# Per worker: --cpus=4 --memory=16 (GiB) --gpus=1 (or 0). Per job: --hours=24 --queue=PARTITION --job_name=NAME,
# and --sbatch_option=--account=NAME for anything else. All other words go to scripts/run_horovod.sh.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"  # `sh scripts/run_slurm.sh` works too
set -euo pipefail

LIB="$(dirname "${BASH_SOURCE[0]}")/lib"
# shellcheck source=scripts/lib/env.sh
source "$LIB/env.sh"
# shellcheck source=scripts/lib/launch.sh
source "$LIB/launch.sh"

JOB_ARGS=()
WORDS=()
SUBMIT=''

# split_words ARGS...: splits the arguments into the job's, JOB_ARGS, and all others, WORDS.
split_words() {
  local word
  for word in "$@"; do
    case "$word" in
      --submit) SUBMIT=yes ;;
      -n=* | --nb_gpus=* | --per_node=* | --cpus=* | --memory=* | --gpus=* | --hours=* | --queue=* | --job_name=* \
        | --sbatch_option=*) JOB_ARGS+=("$word") ;;
      -H | -H=* | --mpi | --srun) die 2 "$word: Slurm chooses the hosts; leave it out" ;;
      *) WORDS+=("$word") ;;
    esac
  done
}

# Checks the first argument now, not after hours in the queue.
check_words() {
  (parse_launch ${WORDS[@]+"${WORDS[@]}"}) || exit
}

write_script() {
  local python=$VENV_PYTHON
  [[ -x "$python" ]] || python=${PYTHON:-python3}
  command -v "$python" >/dev/null || die 1 "$python: not found; install Python 3.10 or newer, or set PYTHON=/path/to/it"
  "$python" "$ROOT/scripts/cluster/jobs.py" slurm ${JOB_ARGS[@]+"${JOB_ARGS[@]}"} -- ${WORDS[@]+"${WORDS[@]}"}
}

split_words "$@"
check_words
if [[ -z "$SUBMIT" ]]; then
  write_script
  exit
fi
command -v sbatch >/dev/null || die 2 '--submit: there is no sbatch here; submit from a login node of the cluster'
script=$(write_script) || exit
"$ROOT/scripts/install_horovod.sh"
sbatch <<<"$script"
