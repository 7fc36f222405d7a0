# shellcheck shell=bash
# Part of ./dev: lab and lab-down. Seventeen cities on this machine (docs/lab.md).

lab_root=${PERIGEE_LAB:-/var/lib/perigee-lab}
lab_cities=iad,ams,atl,dfw,ewr,fra,hkg,lax,lhr,mrs,nrt,ord,sea,sin,sjc,syd,yyz

lab_perigee() {
  build/release/bin/perigee lab --dir "$lab_root" "$@"
}

verb_lab() {
  require_root lab
  tools/setup build run
  build_preset release
  lab_perigee up --cities "${1:-$lab_cities}"
  cat <<TEXT

Put an app into it, from a folder with a Dockerfile:
  alias lab='$PWD/build/release/bin/perigee lab --dir $lab_root'
  cd $PWD/examples/hello && ./prepare
  lab exec iad -- perigee deploy --region iad
Then: lab curl --from syd http://hello.lab.test/    lab latency hello    lab cut fra    lab --help
Stop it: ./dev lab-down
TEXT
}

verb_lab_down() {
  require_root lab-down
  if [ -x build/release/bin/perigee ]; then
    lab_perigee down
  else
    echo "dev: nothing is built here, so nothing of a lab was started from here"
  fi
}
