# Fetches the large ready-made programs, pinned by hash, and runs each to a known result.
# Sourced by .ci/run: a failing command ends the run.
CORPUS=${CORPUS:-$PWD/target/corpus}
benches/build-corpus.sh "$CORPUS" large
BRANT=$PWD/target/release/brant
CLANG="clang -cc1 -triple wasm32-wasip1 -emit-obj -O2 -resource-dir sysroot/lib/clang/22"
CLANG="$CLANG -internal-isystem sysroot/include/wasm32-wasip1 -internal-isystem sysroot/include"
(
  cd "$CORPUS/data"
  equal() { [ "$1" = "$2" ] || { printf 'expected: %s\ngot:      %s\n' "$1" "$2"; exit 1; }; }
  equal "2584 4874 k60 39998" "$("$BRANT" run --dir . ../wasm/cpython.wasm bench.py 1)"
  # The picture and the object file are byte for byte those of wasmtime 49.
  rm -f out.png sort.o
  "$BRANT" run --dir . ../wasm/resvg.wasm scene.svg out.png
  equal "73d7d7b30885ee519a0a9e1fdf99dbe2cfb7c5692e4f91b72b1065edca9b09e9  out.png" "$(sha256sum out.png)"
  # shellcheck disable=SC2086
  "$BRANT" run --dir . ../wasm/llvm.wasm $CLANG -o sort.o -x c sort.c
  equal "2fe4731d30c99e5299c06406e64f1beac1f62ca6c9abf9ec70a93afa3095c84f  sort.o" "$(sha256sum sort.o)"
)
