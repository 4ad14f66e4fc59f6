#!/usr/bin/env bash
# Makes programs/bin/*.wasm from programs/*.c again, byte for byte.
#
# usage: build.sh [--check]     --check builds into a scratch folder and compares
#
# Needs python3 with pip and venv: the C compiler comes as a package, pinned.
# Programs that include threads.h share a memory, which they import; the others have one of their own.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
VENV=${BRANT_ZIG_VENV:-$HERE/../target/zig}
[ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
"$VENV/bin/python" -c 'import ziglang' 2>/dev/null || "$VENV/bin/python" -m pip install -q 'ziglang==0.17.1'
OUT=$HERE/bin
[ "${1:-}" = --check ] && OUT=$(mktemp -d)
mkdir -p "$OUT"
cd "$HERE"
FEATURES=mvp+bulk_memory+sign_ext+mutable_globals+nontrapping_fptoint
THREADS=(-Wl,--shared-memory,--import-memory,--max-memory=16777216 -Wl,-z,stack-size=262144)
for source in *.c; do
  if grep -q '"threads.h"' "$source"; then
    options=("-mcpu=$FEATURES+atomics" "${THREADS[@]}")
  else
    options=("-mcpu=$FEATURES")
  fi
  "$VENV/bin/python" -m ziglang cc -target wasm32-wasi "${options[@]}" \
    -O2 -s -Wall -Wextra -Werror -fno-sanitize=undefined "$source" -o "$OUT/${source%.c}.wasm" -lm
done
[ "$OUT" = "$HERE/bin" ] || diff -r "$OUT" "$HERE/bin"
