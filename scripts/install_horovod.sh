#!/usr/bin/env bash
# Builds Horovod from source against the TensorFlow in .venv and installs it there, unless it is installed.
#
# TensorFlow newer than 2.18 no longer ships the headers of one optional operation that is off by default
# (xla_mpi_ops.cc), which is excluded from the build. Gloo is always included, MPI if mpirun is found;
# HOROVOD_GPU_OPERATIONS=NCCL and Horovod's other build variables are passed on.
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/env.sh"

BUILD_TOOLS=('cmake<4' wheel 'setuptools<81' packaging)
BUILD_DIR=''

pip() {
  "$VENV_PYTHON" -m pip --disable-pip-version-check --quiet "$@" >&2
}

is_usable() {
  TF_CPP_MIN_LOG_LEVEL=3 "$VENV_PYTHON" -c 'import horovod.tensorflow' 2>/dev/null
}

check_compiler() {
  local compiler=${CXX:-c++}
  echo 'int main() { if constexpr (true) return 0; }' \
    | "$compiler" -std=c++17 -Werror -x c++ - -o /dev/null 2>/dev/null \
    || die 1 "$compiler: no C++17 compiler, needed to build Horovod (apt-get install build-essential, or set CXX)"
  command -v make >/dev/null || die 1 'make: not found, needed to build Horovod (apt-get install build-essential)'
}

fetch_source() {
  local version
  version=$(sed -n 's/^horovod==//p' "$ROOT/constraints.txt")
  pip download --no-binary horovod --no-deps --no-build-isolation -d "$BUILD_DIR" "horovod==$version"
  mkdir "$BUILD_DIR/source"
  tar -xzf "$BUILD_DIR"/horovod-*.tar.gz -C "$BUILD_DIR/source" --strip-components 1
}

# edit_line FILE TEXT SED_COMMAND: applies the command to the one line that holds TEXT, or fails.
edit_line() {
  [[ "$(grep -cF "$2" "$1")" == 1 ]] \
    || die 1 "$1: does not name $2 exactly once; this is not the Horovod that constraints.txt pins"
  sed -i "\\|$2|$3" "$1"
}

# edit_source FOLDER: leaves out what cannot be built, and what need not be, which is half of the time.
edit_source() {
  edit_line "$1/horovod/tensorflow/CMakeLists.txt" xla_mpi_ops.cc d
  # Gloo is built once more, with the C++ standard of TensorFlow, and only that is linked.
  edit_line "$1/CMakeLists.txt" 'add_subdirectory(third_party/gloo)' 's|)| EXCLUDE_FROM_ALL)|'
  edit_line "$1/setup.py" "'RelWithDebInfo'" 's|RelWithDebInfo|Release|'  # without debugging information
}

# CMake splits the compiler flags at blanks, so TensorFlow is found through a link with a path without blanks.
build_wheel() {
  ln -s "$VENV" "$BUILD_DIR/venv"
  command -v mpirun >/dev/null || export HOROVOD_WITHOUT_MPI=1
  local bin="$BUILD_DIR/venv/bin"
  PATH="$bin:$PATH" MAKEFLAGS="${MAKEFLAGS:--j$(nproc)}" HOROVOD_CMAKE="$bin/cmake" HOROVOD_WITH_GLOO=1 \
    HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1 \
    "$bin/python" -m pip --disable-pip-version-check wheel --no-build-isolation --no-cache-dir --no-deps \
    -w "$BUILD_DIR/wheel" "$BUILD_DIR/source" >"$BUILD_DIR/log" 2>&1 || {
    tail -n 40 "$BUILD_DIR/log" >&2
    die 1 'Horovod could not be built; the end of its build is above'
  }
}

install_horovod() {
  check_compiler
  say 'Building Horovod from source (done once; about two minutes on two cores) ...'
  BUILD_DIR=$(mktemp -d /tmp/horovod.XXXXXX)
  trap 'rm -rf "$BUILD_DIR"' EXIT
  pip install -c "$ROOT/constraints.txt" "${BUILD_TOOLS[@]}"
  fetch_source
  edit_source "$BUILD_DIR/source"
  build_wheel
  pip install -c "$ROOT/constraints.txt" psutil cloudpickle pyyaml packaging
  pip install --no-deps --no-cache-dir --force-reinstall "$BUILD_DIR"/wheel/horovod-*.whl
  is_usable || die 1 'Horovod was built but cannot be loaded: python -c "import horovod.tensorflow" says why'
}

ensure_horovod() {
  ensure_env ''
  is_usable || install_horovod
}

if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then
  ensure_horovod
fi
