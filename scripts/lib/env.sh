# shellcheck shell=bash
# The project's Python environment: `.venv` at the repository's root, created once and updated when needed.
# Source this file; it sets ROOT and VENV_PYTHON and runs nothing.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
VENV="$ROOT/.venv"
VENV_PYTHON="$VENV/bin/python"

say() {
  printf '%s\n' "$*" >&2
}

# die STATUS MESSAGE: prints one line and exits; status 2 for a wrong command line, 1 for failures.
die() {
  local status=$1
  shift
  say "$(basename "$0"): $*"
  exit "$status"
}

check_interpreter() {
  local python=$1
  command -v "$python" >/dev/null \
    || die 1 "$python: not found; install Python 3.10 or newer, or set PYTHON=/path/to/it"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
    || die 1 "$python: too old; needs Python 3.10 or newer (set PYTHON=/path/to/it)"
}

make_venv() {
  local python=${PYTHON:-python3}
  check_interpreter "$python"
  "$python" -c 'import venv, ensurepip' 2>/dev/null \
    || die 1 "$python has no module venv to make .venv with; install it (apt-get install python3-venv)"
  say "Making $VENV ..."
  "$python" -m venv --clear "$VENV" || die 1 "$python -m venv failed: $VENV is not usable"
  # Python's own pip may be years old, and take a minute to look through the indexes that a newer one takes seconds for.
  "$VENV_PYTHON" -m pip install --disable-pip-version-check --upgrade -c "$ROOT/constraints.txt" pip \
    >/dev/null 2>&1 || true
}

# A digest of the requirements of these extras; if it changes, the environment is installed again.
fingerprint() {
  { printf '%s\n' "$ROOT" "$1"; cat "$ROOT/setup.py" "$ROOT/constraints.txt"; } | sha256sum | cut -d ' ' -f 1
}

stamp_file() {
  printf '%s/.installed-%s\n' "$VENV" "${1:-run}"
}

is_installed() {
  local stamp
  stamp=$(stamp_file "$1")
  [[ -x "$VENV_PYTHON" && -f "$stamp" && "$(<"$stamp")" == "$(fingerprint "$1")" ]]
}

write_stamp() {
  local stamp
  stamp=$(stamp_file "$1")
  fingerprint "$1" >"$stamp.new"
  mv "$stamp.new" "$stamp"
}

# What pip would do at the end of an installation, but in as many processes as there are cores. Packages hold files that
# are no valid Python, which pip ignores, too; the packages' own tests are never run.
compile_packages() {
  "$VENV_PYTHON" -m compileall -qq -j 0 -x 'site-packages/.*/tests/' "$VENV/lib" >&2 || true
}

# install_packages EXTRAS: the stamp is written only after pip has succeeded.
install_packages() {
  local extras=$1 options=(--disable-pip-version-check)
  [[ -t 2 ]] || options+=(--quiet)
  rm -f "$VENV"/.installed-*
  say 'Installing the dependencies into .venv (done once; a minute or two) ...'
  "$VENV_PYTHON" -m pip install "${options[@]}" --no-compile -c "$ROOT/constraints.txt" \
    -e "$ROOT${extras:+[$extras]}" >&2 || die 1 'the dependencies could not be installed; the error of pip is above'
  compile_packages
  write_stamp ''
  [[ -z "$extras" ]] || write_stamp "$extras"
}

# ensure_env EXTRAS ('' for none): installs the dependencies of the project and its EXTRAS for VENV_PYTHON.
ensure_env() {
  local extras=$1
  is_installed "$extras" && return
  "$VENV_PYTHON" -c 'import pip' 2>/dev/null || make_venv
  check_interpreter "$VENV_PYTHON"
  install_packages "$extras"
}
