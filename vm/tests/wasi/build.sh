#!/usr/bin/env bash
# Makes *.wasm from *.c again, byte for byte.
#
# usage: build.sh [--check]     --check builds into a scratch folder and compares
#
# Needs python3 with pip and venv: the C compiler comes as a package, pinned.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
VENV=${BRANT_ZIG_VENV:-$HERE/../../../target/zig}
[ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
"$VENV/bin/python" -c 'import ziglang' 2>/dev/null || "$VENV/bin/python" -m pip install -q 'ziglang==0.17.1'
OUT=$HERE
[ "${1:-}" = --check ] && OUT=$(mktemp -d)
cd "$HERE"
for source in *.c; do
  "$VENV/bin/python" -m ziglang cc -target wasm32-wasi \
    -mcpu=mvp+bulk_memory+sign_ext+mutable_globals+nontrapping_fptoint \
    -Oz -s -Wall -Werror -Wno-unused-result -fno-sanitize=undefined "$source" -o "$OUT/${source%.c}.wasm"
  [ "$OUT" = "$HERE" ] || cmp "$OUT/${source%.c}.wasm" "$HERE/${source%.c}.wasm"
done
