# Builds every fuzz target and runs each for some seconds from its committed seeds.
# Sourced by .ci/run. cargo-fuzz wants nightly flags, which RUSTC_BOOTSTRAP allows on stable.
# A gate must say the same twice: by default the committed seeds alone. FUZZ_SECONDS=60 looks further.
FUZZ_SECONDS=${FUZZ_SECONDS:-0}
HOW=(-runs=0); [ "$FUZZ_SECONDS" = 0 ] || HOW=(-max_total_time="$FUZZ_SECONDS")
command -v cargo-fuzz >/dev/null || cargo install -q cargo-fuzz --version 0.13.2 --locked
for manifest in */fuzz/Cargo.toml; do
  crate=${manifest%/Cargo.toml}
  for target in $(cd "$crate" && cargo fuzz list); do
    step "fuzz $crate $target"
    corpus=$(mktemp -d)
    seeds=()
    # A target that makes its own input has none.
    [ -d "$crate/seeds/$target" ] && seeds=("seeds/$target")
    # New finds go to the scratch folder; the committed seeds are only read.
    # Without a backtrace of cargo-fuzz itself, which would hide what went wrong.
    if (cd "$crate" && RUST_BACKTRACE=0 RUSTC_BOOTSTRAP=1 cargo fuzz run "$target" "$corpus" "${seeds[@]}" -- \
      "${HOW[@]}" -rss_limit_mb=4096 -timeout=20 > "$corpus.log" 2>&1); then
      tail -n 3 "$corpus.log"
    else
      tail -n 100 "$corpus.log"
      df -h . /tmp
      exit 1
    fi
    rm -rf "$corpus" "$corpus.log"
  done
done
