# shellcheck shell=bash
# Translates a launcher's arguments to those of main.py; accepts the original's `nets/MODEL_at_DATASET_run.py`.
# Source this file after env.sh.

NUM_WORKERS=1
MAIN_ARGS=()
# Set by launchers that start main.py here, at once, so that it can refuse unknown commands.
TAKES_COMMAND=''

set_workers() {
  local value=${1#*=}
  [[ "$1" == *=* && "$value" =~ ^[1-9][0-9]*$ ]] \
    || die 2 "$1: the number of workers is a whole number >= 1, written -n=K or --nb_gpus=K"
  # shellcheck disable=SC2034  # read by the launchers
  NUM_WORKERS=$value
}

# Resolves a file relative to the caller's folder, then to the repository; else prints the word unchanged.
locate() {
  if [[ ! -e "$1" && -e "$ROOT/$1" ]]; then
    printf '%s\n' "$ROOT/$1"
  else
    printf '%s\n' "$1"
  fi
}

# add_script FILE: nets/X_at_Y[_run].py names a model/dataset pair, any other .py file is a model helper.
add_script() {
  local pair='(^|/)nets/([A-Za-z0-9_]+)_at_([A-Za-z0-9]+)\.py$'
  local plain=${1%_run.py}
  plain=${plain%.py}.py
  if [[ "$1" == *.py && "$plain" =~ $pair ]]; then
    MAIN_ARGS+=("--model=${BASH_REMATCH[2]}" "--dataset=${BASH_REMATCH[3]}")
  elif [[ "$1" == *.py && ! "$1" =~ (^|/)nets/ ]]; then
    [[ -e "$(locate "$1")" ]] && plain=$1
    MAIN_ARGS+=("--model_helper=$(locate "$plain")")
  elif [[ -n "$TAKES_COMMAND" && "$1" =~ ^[a-z][a-z-]*$ ]]; then
    MAIN_ARGS=("$1" "${MAIN_ARGS[@]}")  # a command, which main.py knows
  else
    die 2 "'$1' is not nets/MODEL_at_DATASET_run.py (a pair), a model helper's file.py, or a --flag"
  fi
}

# parse_launch ARGS...: sets NUM_WORKERS and MAIN_ARGS; only the first word may be a script or a command.
parse_launch() {
  local word script=''
  for word in "$@"; do
    case "$word" in
      -n | -n=* | --nb_gpus | --nb_gpus=*) set_workers "$word" ;;
      -*) script=no; MAIN_ARGS+=("$word") ;;
      *)
        if [[ -z "$script" ]]; then add_script "$word"; else MAIN_ARGS+=("$word"); fi
        script=no
        ;;
    esac
  done
}

# run_or_show COMMAND...: executes the command; with POCKETFLOW_DRY_RUN=1 prints it instead, one word per line.
run_or_show() {
  if [[ "${POCKETFLOW_DRY_RUN:-}" == 1 ]]; then
    printf '%s\n' "$@"
    exit 0
  fi
  exec "$@"
}
