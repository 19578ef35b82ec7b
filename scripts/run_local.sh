#!/usr/bin/env bash
# Runs main.py on this machine, in an environment that is created at the first call.
#
#   scripts/run_local.sh                                                 the quickstart
#   scripts/run_local.sh --flagfile=FILE --learner=weight-sparse         other flags are passed to main.py
#   scripts/run_local.sh nets/resnet_at_cifar10_run.py --learner=uniform is --model=resnet --dataset=cifar10
#   scripts/run_local.sh export --run_dir=DIR                            commands: --help lists them
#   scripts/run_local.sh examples/convnet_at_fmnist.py                   is --model_helper=FILE
#
# -n=K or --nb_gpus=K: number of workers; must be 1.
# PYTHON: the interpreter that creates .venv. POCKETFLOW_DRY_RUN=1: prints the command, one word per line.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"  # `sh scripts/run_local.sh` works too
set -euo pipefail

LIB="$(dirname "${BASH_SOURCE[0]}")/lib"
# shellcheck source=scripts/lib/env.sh
source "$LIB/env.sh"
# shellcheck source=scripts/lib/launch.sh
source "$LIB/launch.sh"

# shellcheck disable=SC2034  # read by parse_launch
TAKES_COMMAND=yes
parse_launch "$@"
((NUM_WORKERS == 1)) \
  || die 2 "-n=$NUM_WORKERS: one worker is started here; several workers need scripts/run_horovod.sh"
((${#MAIN_ARGS[@]})) || MAIN_ARGS=("--flagfile=$ROOT/scripts/flags/quickstart.flags")

[[ "${POCKETFLOW_DRY_RUN:-}" == 1 ]] || ensure_env ''
run_or_show "$VENV_PYTHON" "$ROOT/main.py" "${MAIN_ARGS[@]}"
