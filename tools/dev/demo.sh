# shellcheck shell=bash
# Part of ./dev: demo and demo-stop. The demo's node lives in a folder that root alone can make, and
# short: the path of a Unix socket in it has at most 107 bytes, which a deep checkout would exceed.

demo_root=${PERIGEE_DEMO_ROOT:-/var/lib/perigee-demo}
demo_http=http://hello.localhost:8080/
demo_https=https://hello.localhost:8443/

demo_perigee() {
  PERIGEE_ROOT=$demo_root build/release/bin/perigee "$@"
}

demo_runs() {
  local pid
  pid=$(cat "$demo_root/run/perigee/perigeed.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}

# demo_step WORDS COMMAND…: runs it, then prints what was done and how long it took. What the
# command says is shown when it fails.
demo_step() {
  local words=$1 start log=build/demo.log
  shift
  start=$(now_ms)
  if ! "$@" >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    die "demo: $words failed; daemons' logs: $demo_root/var/log/perigee"
  fi
  printf '%-38s %s\n' "$words" "$(seconds $(($(now_ms) - start)))"
}

demo_deploy() {
  (cd examples/hello && ./prepare && PERIGEE_ROOT=$demo_root ../../build/release/bin/perigee deploy)
}

demo_fetch() {
  curl --silent --show-error --fail --max-time 20 --noproxy '*' "$@" | grep 'Hello from a microVM'
}

verb_demo() {
  require_root demo
  local start
  start=$(now_ms)
  mkdir -p build "$demo_root"
  tools/setup build run
  printf '%-38s %s\n' "packages and guest kernel" "$(seconds $(($(now_ms) - start)))"
  demo_step "build (release)" build_preset release
  demo_step "perigee up" demo_perigee up
  demo_step "perigee deploy (examples/hello)" demo_deploy
  demo_step "its page over http" demo_fetch "$demo_http"
  demo_step "its page over https" demo_fetch --cacert "$demo_root/var/lib/perigee/ca.pem" \
    "$demo_https"
  printf '%-38s %s\n\n' "all" "$(seconds $(($(now_ms) - start)))"
  echo "$demo_http"
  echo "$demo_https"
  cat <<TEXT

The second one is signed by the node's own authority, $demo_root/var/lib/perigee/ca.pem.
Look at it:  PERIGEE_ROOT=$demo_root build/release/bin/perigee status -a hello
Stop it:     ./dev demo-stop
TEXT
}

verb_demo_stop() {
  require_root demo-stop
  local left
  if [ -x build/release/bin/perigee ] && [ -d "$demo_root" ]; then
    demo_perigee down
  fi
  # What a VM held is given back by the kernel a moment after its end.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    if left=$(tools/dev/leftovers "$demo_root"); then
      echo "The demo is stopped: nothing of it is left (no process, tap, mount or cgroup)."
      echo "Its apps start again with ./dev demo; rm -r $demo_root forgets them."
      return
    fi
    sleep 0.2
  done
  die "demo-stop: still there of $demo_root:
$left"
}
