# shellcheck shell=bash
# Part of ./dev: what its verbs share. All paths are relative to the root of the checkout.

die() {
  echo "dev: $*" >&2
  exit 1
}

now_ms() {
  date +%s%3N
}

# 83412 → "83.4 s"
seconds() {
  printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100))
}

require_root() {
  [ "$(id -u)" = 0 ] || die "$1 makes taps and VMs: run it as root (sudo ./dev $1)"
}

cpp_files() {
  find src guest cmake -name corpus -prune -o \( -name '*.cc' -o -name '*.h' \) -print | sort
}

verb_setup() {
  tools/setup "$@"
}

verb_clean() {
  ! demo_runs || die "the demo runs: ./dev demo-stop first"
  rm -rf build/{dev,asan,tsan,release,fuzz,tidy,test,bench}
}
