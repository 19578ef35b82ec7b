# shellcheck shell=bash
# An emulated 64-bit ARM Linux with LiteRT: qemu's user-mode emulator, Debian's arm64 packages of Python, aarch64 wheels.
# Source this file after env.sh; `ensure_arm` sets up the folder ARM_DIR once. It needs no root and installs nothing.

ARM_DIR=${POCKETFLOW_ARM_DIR:-$ROOT/.arm}
ARM_PYTHON=$ARM_DIR/bin/python
QEMU=qemu-aarch64-static
# LiteRT 2.2 and 2.3 crash under qemu 7.2 as soon as they open a file.
ARM_WHEELS=(ai-edge-litert==2.1.5 numpy==2.4.6)

arm_fingerprint() {
  printf '%s ' layout-1 "${ARM_WHEELS[@]}"
}

is_arm_ready() {
  [[ -f "$ARM_DIR/ready" && "$(<"$ARM_DIR/ready")" == "$(arm_fingerprint)" ]]
}

# Checks the requirements before anything is downloaded.
check_arm_host() {
  [[ "$(uname -s)" == Linux ]] \
    || die 2 "$(uname -s): the emulation needs Linux; run this on a Linux machine or in a Debian container"
  [[ "$(uname -m)" != aarch64 ]] \
    || die 2 'this machine is a 64-bit ARM itself: nothing to emulate, the files can be run as they are'
  local program
  for program in apt-get dpkg; do
    command -v "$program" >/dev/null || die 2 "$program: not found; the ARM system is made of Debian's packages:" \
      'run this on Debian 12, or in a container of it'
  done
}

# apt_in FOLDER ARCH WORDS...: apt-get with this machine's sources, whose lists, packages and state are in FOLDER.
apt_in() {
  local folder=$1 arch=$2
  shift 2
  mkdir -p "$folder"/{lists,cache/archives}/partial
  touch "$folder/status"
  apt-get -qq -y -oAPT::Architecture="$arch" -oAPT::Architectures="$arch" -oAPT::Sandbox::User="$(id -un)" \
    -oDir::State="$folder" -oDir::State::Lists="$folder/lists" -oDir::State::status="$folder/status" \
    -oDir::Cache="$folder/cache" "$@" >>"$ARM_DIR/log" 2>&1
}

# unpack_packages FOLDER ARCH PACKAGE...: the packages and all that they depend on, unpacked into FOLDER.
unpack_packages() {
  local folder=$1 arch=$2 apt="$1.apt" package
  shift 2
  mkdir -p "$folder"
  # Sources without packages for this architecture fail here; missing packages are detected below.
  apt_in "$apt" "$arch" update || true
  apt_in "$apt" "$arch" install --download-only --no-install-recommends "$@" \
    || die 2 "apt-get cannot get $* for $arch ($ARM_DIR/log says why); it needs the network and Debian 12's sources"
  for package in "$apt"/cache/archives/*.deb; do
    dpkg -x "$package" "$folder"
  done
  rm -rf "$apt"
}

get_qemu() {
  mkdir -p "$ARM_DIR/new/bin"
  if command -v "$QEMU" >/dev/null; then
    ln -s "$(command -v "$QEMU")" "$ARM_DIR/new/bin/$QEMU"
    return
  fi
  unpack_packages "$ARM_DIR/new/qemu" "$(dpkg --print-architecture)" qemu-user-static
  mv "$ARM_DIR/new/qemu/usr/bin/$QEMU" "$ARM_DIR/new/bin/"
  rm -rf "$ARM_DIR/new/qemu"
}

get_arm_python() {
  unpack_packages "$ARM_DIR/new/root" arm64 python3.11-minimal libpython3.11-stdlib libstdc++6
  rm -rf "$ARM_DIR/new/root/usr/share"
}

get_arm_wheels() {
  "$VENV_PYTHON" -m pip --disable-pip-version-check install --quiet --no-compile --no-deps --only-binary=:all: \
    --platform manylinux2014_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64 \
    --implementation cp --python-version 3.11 --target "$ARM_DIR/new/site" "${ARM_WHEELS[@]}" >>"$ARM_DIR/log" 2>&1 \
    || die 2 "pip cannot get ${ARM_WHEELS[*]} for aarch64 ($ARM_DIR/log says why); it needs the network or an index"
}

# Writes a relocatable program that runs Python on the emulated machine. QEMU_CPU: its processor.
write_arm_python() {
  cat >"$ARM_DIR/new/bin/python" <<EOF
#!/bin/sh
here=\$(cd "\$(dirname "\$0")/.." && pwd)
PYTHONPATH=\$here/site PYTHONDONTWRITEBYTECODE=1 QEMU_CPU=\${QEMU_CPU:-cortex-a76}
export PYTHONPATH PYTHONDONTWRITEBYTECODE QEMU_CPU
exec "\$here/bin/$QEMU" -L "\$here/root" "\$here/root/usr/bin/python3.11" "\$@"
EOF
  chmod +x "$ARM_DIR/new/bin/python"
}

make_arm() {
  say "Downloading an ARM system with LiteRT into $ARM_DIR (done once; about 110 MB) ..."
  rm -rf "${ARM_DIR:?}"/{new,bin,root,site,ready}
  : >"$ARM_DIR/log"
  get_qemu
  get_arm_python
  get_arm_wheels
  write_arm_python
  mv "$ARM_DIR"/new/* "$ARM_DIR"
  rmdir "$ARM_DIR/new"
  "$ARM_PYTHON" -c 'import ai_edge_litert.interpreter' 2>>"$ARM_DIR/log" \
    || die 1 "LiteRT cannot be loaded on the emulated machine, see $ARM_DIR/log"
  arm_fingerprint >"$ARM_DIR/ready"
}

# ensure_arm: sets ARM_PYTHON to Python on the emulated machine. Of concurrent calls, one downloads and the others wait.
ensure_arm() {
  is_arm_ready && return
  check_arm_host
  mkdir -p "$ARM_DIR" 2>/dev/null || die 2 "$ARM_DIR: cannot be made; set POCKETFLOW_ARM_DIR to a folder with 500 MB"
  exec 9>"$ARM_DIR/lock"
  flock 9
  is_arm_ready || make_arm
  exec 9>&-
}
