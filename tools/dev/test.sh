# shellcheck shell=bash
# Part of ./dev: test, soak and check. Results are lines "pass|fail|skip<TAB>NAME[<TAB>REASON]" in a
# file that each stage appends to; the last line that `./dev test` prints is counted from it.

results=build/test/results.tsv

record() {
  printf '%s\t%s\t%s\n' "$1" "$2" "${3:-}" >>"$results"
}

count() {
  grep -c "^$1"$'\t' "$results" || true
}

# stage NAME COMMAND…: runs it and says how long it took. A stage that fails without having
# recorded what failed is recorded itself.
stage() {
  local name=$1 start rc=0 failed
  shift
  echo "== $name"
  start=$(now_ms)
  failed=$(count fail)
  "$@" || rc=$?
  if [ "$rc" != 0 ] && [ "$(count fail)" = "$failed" ]; then
    record fail "$name"
  fi
  stage_times+=("$(printf '%-24s %s' "$name" "$(seconds $(($(now_ms) - start)))")")
  echo "== ${stage_times[-1]}"
  return "$rc"
}

# A build is run in a subshell, so that its `die` ends the stage and not the whole test.
in_subshell() {
  ("$@")
}

verb_test() {
  require_root test
  mkdir -p build/test
  : >"$results"
  stage_times=()
  local start
  stage setup tools/setup build run test || { summary; exit 1; }
  start=$(now_ms)
  stage checks run_checks || true
  if stage "build asan" in_subshell build_preset asan; then
    stage "unit tests" ctest_label asan unit "$(nproc)" || true
  fi
  if stage "build release" in_subshell build_preset release; then
    stage "end to end" end_to_end || true
  fi
  stage_times+=("$(printf '%-24s %s' "all but setup" "$(seconds $(($(now_ms) - start)))")")
  summary
}

summary() {
  local failed skipped
  failed=$(count fail)
  skipped=$(count skip)
  echo
  printf '%s\n' "${stage_times[@]}"
  # awk, not grep: under `set -e` with pipefail a grep that finds nothing would end the test here.
  awk -F'\t' '
    $1 == "skip" && !seen[$0]++ { print "skipped: " $2 ": " $3 }
    $1 == "fail" { print "failed: " $2 ($3 == "" ? "" : ": " $3) }' "$results"
  echo "$(count pass) passed, $failed failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
  [ "$failed" = 0 ]
}

# ctest_label PRESET LABEL JOBS: the tests that CMake knows of, their results recorded.
ctest_label() {
  local report=$PWD/build/test/$2.xml log=build/test/$2.log rc=0
  rm -f "$report"
  ctest --test-dir "build/$1" -L "$2" -j "$3" --output-on-failure --no-tests=error \
    --output-junit "$report" >"$log" 2>&1 || rc=$?
  [ "$rc" = 0 ] || grep -vE '^ *([0-9]+/[0-9]+ Test .* Passed|Start )' "$log" || true
  python3 tools/dev/ctest_results.py "$2" "$report" >>"$results"
  echo "$(grep -c '<testcase' "$report") $2 test programs (log: $log)"
  return "$rc"
}

end_to_end() {
  local rc=0
  PERIGEE_DOCKER_REGISTRY=$(python3 e2e/packages.py --registry) || return 1
  export PERIGEE_DOCKER_REGISTRY
  ctest_label release e2e 1 || rc=1
  e2e/run.py --results "$results" || rc=1
  return "$rc"
}

run_checks() {
  local rc=0
  check_one "tidy's own tests" python3 tools/tidylib/tidy_test.py || rc=1
  tools/tidy --results "$results" || rc=1
  check_one "clang-format" check_format || rc=1
  check_one "shellcheck" check_scripts || rc=1
  return $rc
}

# check_one NAME COMMAND…: quiet when it passes.
check_one() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    record pass "$name"
    echo "ok   $name"
  else
    record fail "$name"
    printf 'FAIL %s\n%s\n' "$name" "$output"
    return 1
  fi
}

check_format() {
  cpp_files | xargs -d '\n' -P "$(nproc)" -n 20 clang-format-19 --dry-run -Werror
}

check_scripts() {
  local scripts
  # In the first line: a scenario may hold a script of its own.
  scripts=$(grep -rInm1 --exclude-dir=build --exclude-dir=.git '' . |
    sed -nE 's/^([^:]*):1:#!\/bin\/(ba)?sh$/\1/p' | sort)
  # shellcheck disable=SC2086  # no blanks in our file names
  shellcheck -x $scripts tools/dev/*.sh
}

verb_e2e() {
  require_root e2e
  tools/setup build run test
  build_preset release
  e2e/run.py "$@"
}

# The long forms of what `./dev test` runs in short: another course each time, named for repeating.
verb_soak() {
  if [ "${1:-}" = fleet ]; then
    soak_fleet "${@:2}"
    return
  fi
  require_root soak
  tools/setup build run test
  build_preset release
  PERIGEE_STORM_POINTS=${1:-300} PERIGEE_STORM_SEED=${2:-$RANDOM} PERIGEE_ETCD_KILLS=20 \
    PERIGEE_OUTAGE_S=600 PERIGEE_CUT_S=120 PERIGEE_ATTACK_S=20 PERIGEE_MUTATED=1000000 \
    e2e/run.py StormTest EtcdDeployTest "FleetTest fleet" AttackersTest
}

# soak_fleet [SEEDS [FIRST]]: 1,000 nodes with 100,000 machines, simulated: what changes cost, and
# partitions and crashes (docs/decisions/0026-fleet-simulation.md).
soak_fleet() {
  tools/setup build
  build_preset release perigee-fleet-sim
  mkdir -p build/bench
  build/release/bin/perigee-fleet-sim growth full build/bench/fleet.json
  build/release/bin/perigee-fleet-sim courses full "${1:-200}" "${2:-1}"
}

# The C++ sources that differ from the last commit; of a clean tree, those of the last commit.
changed_sources() {
  local files
  files=$(git diff --name-only HEAD; git ls-files --others --exclude-standard)
  [ -n "$files" ] || files=$(git diff --name-only HEAD~1 HEAD)
  grep -E '^(src|guest)/.*\.cc$' <<<"$files" | while read -r file; do
    [ ! -f "$file" ] || echo "$file"
  done
}

verb_check() {
  local rc=0 sources
  tools/setup build test
  mkdir -p build/test
  : >"$results"
  run_checks || rc=1
  configure asan
  if [ "${1:-}" = all ]; then
    sources=$(cpp_files | grep '\.cc$')
  else
    sources=$(changed_sources || true)
  fi
  if [ -z "$sources" ]; then
    echo "clang-tidy: no source file changed"
  else
    echo "clang-tidy on $(wc -l <<<"$sources") files"
    xargs -d '\n' -P "$(nproc)" -n 1 clang-tidy-19 -p build/asan --quiet --warnings-as-errors='*' \
      <<<"$sources" 2>/dev/null || rc=1
  fi
  [ $rc = 0 ] || die "check failed"
  echo "check passed"
}
