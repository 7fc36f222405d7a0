# shellcheck shell=bash
# Part of ./dev: lab and lab-down. Seventeen cities on this machine (docs/lab.md).

lab_root=${PERIGEE_LAB:-/var/lib/perigee-lab}
lab_cities=iad,ams,atl,dfw,ewr,fra,hkg,lax,lhr,mrs,nrt,ord,sea,sin,sjc,syd,yyz

lab_perigee() {
  PERIGEE_ETCD=$PWD/build/cache/etcd/usr/bin/etcd \
    build/release/bin/perigee lab --dir "$lab_root" "$@"
}

# examples/hello as somebody has it who has not launched it yet.
lab_app() {
  rm -rf "$lab_root-app"
  mkdir -p "$lab_root-app/hello"
  examples/hello/prepare
  cp -r examples/hello/{Dockerfile,busybox,www} "$lab_root-app/hello/"
}

# A city where `perigee` has an API to talk to.
lab_control() {
  lab_perigee status --json |
    python3 -c 'import json, sys; print(next(city["city"] for city in json.load(sys.stdin)["cities"]
                                             if city["control"]))'
}

verb_lab() {
  require_root lab
  tools/setup build run
  python3 e2e/packages.py --etcd >/dev/null
  build_preset release
  lab_perigee up --cities "${1:-$lab_cities}"
  lab_app
  local command control perigee=$PWD/build/release/bin/perigee
  control=$(lab_control)
  for command in "launch --no-deploy" "regions set all" "deploy"; do
    echo
    echo "hello/ $ perigee $command"
    # shellcheck disable=SC2086
    (cd "$lab_root-app/hello" &&
      "$perigee" lab --dir "$lab_root" exec "$control" -- perigee $command)
  done
  cat <<TEXT

An image in each city. See how far away it is:
  alias lab='$perigee lab --dir $lab_root'
  lab latency hello     lab curl --from syd http://hello.lab.test/     lab cut fra     lab --help
Its folder is $lab_root-app/hello; \`lab exec $control -- perigee …\` there does what it says.
Stop it: ./dev lab-down
TEXT
}

verb_lab_down() {
  require_root lab-down
  rm -rf "$lab_root-app"
  if [ -x build/release/bin/perigee ]; then
    lab_perigee down
  else
    echo "dev: nothing is built here, so nothing of a lab was started from here"
  fi
}
