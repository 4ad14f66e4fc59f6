#!/usr/bin/env bash
# Makes calls.wasm from calls.c again, byte for byte.
#
# Needs python3 with pip and venv: the C compiler comes as a package, pinned.
set -euo pipefail
cd "$(dirname "$0")"
VENV=${BRANT_ZIG_VENV:-../../../target/zig}
[ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
"$VENV/bin/python" -c 'import ziglang' 2>/dev/null || "$VENV/bin/python" -m pip install -q 'ziglang==0.17.1'
"$VENV/bin/python" -m ziglang cc -target wasm32-wasi -mcpu=mvp+bulk_memory+sign_ext+mutable_globals+nontrapping_fptoint \
  -O2 -s -Wall -Wextra -Werror -fno-sanitize=undefined calls.c -o calls.wasm
