# shellcheck shell=bash
# Part of ./dev: build, guest-kernel, fuzz, bench, sim.

configure() {
  local log=build/configure-$1.log
  cmake --preset "$1" >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "cmake failed (log: $log)"; }
}

# build_preset PRESET [TARGET…]
build_preset() {
  local preset=$1
  shift
  configure "$preset"
  NINJA_STATUS="[%f/%t $preset] " ninja -C "build/$preset" --quiet "$@"
}

verb_build() {
  local preset=${1:-dev}
  case "$preset" in
    dev | asan | tsan | release | fuzz) ;;
    *) die "no preset named $preset (dev, asan, tsan, release, fuzz)" ;;
  esac
  tools/setup build
  build_preset "$preset"
  echo "built: build/$preset/bin"
}

# The optional guest kernel: half the boot, and only what tools/guest/minimal.config lists. The next
# build puts it and its initrd beside Debian's, in build/release/guest-minimal.
verb_guest_kernel() {
  tools/setup build kernel
  tools/guest/build-kernel build/guest-kernel-minimal
  build_preset release
  echo "built: build/release/guest-minimal (what guest_dir in perigeed.toml may name)"
}

# fuzz [TARGET] [SECONDS]: new inputs go to build/fuzz-corpus; the corpus in the tree is read too.
verb_fuzz() {
  local wanted=${1:-} time=${2:-60} source target
  if [[ "$wanted" =~ ^[0-9]+$ ]]; then
    time=$wanted
    wanted=
  fi
  tools/setup build
  local found=no
  for source in $(find src guest -name '*_fuzz.cc' | sort); do
    target=$(basename "$source" .cc)
    [ -z "$wanted" ] || [ "$wanted" = "$target" ] || continue
    found=yes
    fuzz_one "$target" "$(dirname "$source")/corpus/$target" "$time"
  done
  [ $found = yes ] || die "no fuzz target named $wanted: $(find src guest -name '*_fuzz.cc' \
    -printf '%f ' | sed 's/\.cc//g')"
}

fuzz_one() {
  local kept=build/fuzz-corpus/$1
  build_preset fuzz "$1"
  mkdir -p "$kept" build/fuzz-findings
  echo "== $1 for $3 s"
  "build/fuzz/bin/$1" -max_total_time="$3" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz-findings/$1-" "$kept" "$2" 2>"build/fuzz-findings/$1.log" || {
    tail -n 40 "build/fuzz-findings/$1.log" >&2
    die "$1 found a bug: the input is under build/fuzz-findings/, add it to $2 with the fix"
  }
  grep -E 'stat::number_of_executed_units|cov:' "build/fuzz-findings/$1.log" | tail -n 2
}

verb_bench() {
  local wanted=${1:-} source target found=no
  tools/setup build
  mkdir -p build/bench
  for source in $(find src -name '*_bench.cc' -printf '%h\n' | sort -u); do
    target=$(basename "$source")_bench
    [ -z "$wanted" ] || [ "$wanted" = "$target" ] || continue
    found=yes
    build_preset release "$target"
    "build/release/bin/$target" --benchmark_out="build/bench/$target.json" \
      --benchmark_out_format=json
  done
  [ $found = yes ] || echo "no benchmark ${wanted:+named $wanted }yet"
}

verb_bench_vm() {
  require_root bench-vm
  tools/setup build run test
  build_preset release
  tools/bench/vm.py "$@"
}

verb_bench_router() {
  require_root bench-router
  tools/setup build run test
  build_preset release perigeed
  tools/bench/router.py "$@"
}

verb_bench_lab() {
  require_root bench-lab
  tools/setup build run test
  build_preset release
  tools/bench/lab.py "$@"
}

verb_bench_backhaul() {
  require_root bench-backhaul
  tools/setup build run test
  build_preset release perigee backhaul-load
  tools/bench/backhaul_loss.py "$@"
}

verb_sim() {
  tools/setup build
  build_preset asan sim_test
  PERIGEE_SIM_SEEDS=${1:-100} build/asan/bin/sim_test
}
