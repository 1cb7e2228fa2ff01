#!/bin/bash
# Times a suite of Core ML packages on an iPhone, from a Mac with Xcode and XcodeGen.
#
#   ./time_suite.sh                           lists the phones and their identifiers
#   ./time_suite.sh SUITE DEVICE TEAM OUT     compiles, installs, copies, times, copies back
#
# SUITE   folder of `palmette latency suite`: packages, manifest.csv, perhaps settings.json
# DEVICE  identifier of the phone; its name will not do, a simulator may have the same
# TEAM    ten letters of your Apple developer team
# OUT     folder for results.csv and placement.csv; each suite and each phone has its own
#
# Whatever ends it, the same command goes on where it was. Not run by us on a Mac.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
readonly here
readonly build="$here/build"
readonly log="$build/log.txt"
readonly limit_s=1800     # of installing, and of copying the suite
readonly small_limit_s=60 # of a small file; a file that is not there may make devicectl wait
readonly most_idle_launches=3 # of launches that begin no timing

fail() {
  echo "time_suite: $1" >&2
  exit 1
}

say() {
  echo "time_suite: $1" >&2
}

# A step of which only the log tells more.
quietly() {
  local reason="$1"
  shift
  "$@" >>"$log" 2>&1 || fail "$reason; $log says why"
}

check_mac() {
  command -v xcrun >/dev/null || fail "xcrun is missing: this runs on a Mac with Xcode"
}

list_phones() {
  check_mac
  say "devices (the identifier stands in the last brackets):"
  xcrun xctrace list devices 2>&1 | sed '/== Simulators ==/,$d'
}

check_arguments() {
  local path
  [ $# -eq 4 ] || fail "give SUITE DEVICE TEAM OUT, or nothing to list the phones"
  for path in "$here" "$1" "$4"; do
    case "$path" in *[[:space:]]*) fail "'$path': spaces in paths break Apple's tools; move it" ;; esac
  done
  [ -f "$1/manifest.csv" ] || fail "$1: no manifest.csv in it; write it with palmette latency suite"
  [[ "$2" =~ ^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{16}$ || "$2" =~ ^[0-9A-Fa-f]{40}$ ]] ||
    fail "'$2' is no identifier of a phone; ./time_suite.sh without arguments lists them"
  [[ "$3" =~ ^[A-Z0-9]{10}$ ]] || fail "'$3' is no team: ten capitals and digits, as in Xcode's settings"
}

# The folder's owner.txt says whose timings are in it, by a hash: a phone's identifier is its owner's.
check_owner() {
  local owner
  owner="$(echo "$key $device" | sha256)"
  [ ! -e "$out/results.csv" ] || [ "$(cat "$out/owner.txt" 2>/dev/null)" = "$owner" ] ||
    fail "$out: has timings of another suite or another phone; name another folder"
  echo "$owner" >"$out/owner.txt"
}

check_tools() {
  local tool
  check_mac
  for tool in xcodebuild xcodegen; do
    command -v "$tool" >/dev/null ||
      fail "$tool is missing; install Xcode itself (not only its command line tools) and XcodeGen"
  done
  xcrun -f devicectl >/dev/null 2>&1 || fail "devicectl is missing; it comes with Xcode 15 and later"
  say "a phone with an iOS newer than Xcode makes devicectl hang: update Xcode then"
}

# Names and hashes of the packages, each once; the three columns hold no commas of their own.
packages() {
  [ "$(head -n 1 "$suite/manifest.csv" | cut -d, -f1-3)" = "position,file,sha256" ] ||
    fail "$suite/manifest.csv: its columns do not begin with position,file,sha256"
  tail -n +2 "$suite/manifest.csv" | cut -d, -f2,3 | sort -u
}

sha256() {
  shasum -a 256 | cut -d' ' -f1
}

# Of a package as the manifest has it: of names, sizes and contents, in the order of names.
hash_package() {
  if [ -d "$1" ]; then
    # sorted part by part of the path, as Python sorts paths
    (cd "$1" && find . -type f | sed 's|^\./||' | tr '/' '\001' | LC_ALL=C sort | tr '\001' '/') |
      while IFS= read -r name; do
        printf '%s\n%d\n' "$name" "$(wc -c <"$1/$name")"
        cat "$1/$name"
      done | sha256
  else
    { printf '\n%d\n' "$(wc -c <"$1")" && cat "$1"; } | sha256
  fi
}

# Each package once; a stamp beside it says of which hash it is.
compile() {
  local file hash stamp
  mkdir -p "$compiled" "$stamps"
  packages >"$build/packages.csv"
  while IFS=, read -r -u 3 file hash; do
    stamp="$stamps/$file"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$hash" ]; then continue; fi
    [ -e "$suite/$file" ] || fail "$suite/$file: is missing; copy the suite again, all of it"
    [ "$(hash_package "$suite/$file")" = "$hash" ] ||
      fail "$suite/$file: is not what the manifest says; copy the suite again, all of it"
    rm -rf "${compiled:?}/${file%.*}.mlmodelc"
    quietly "$file: does not compile" xcrun coremlcompiler compile "$suite/$file" "$compiled"
    [ -d "$compiled/${file%.*}.mlmodelc" ] || fail "$file: the compiler left no package; $log says why"
    echo "$hash" >"$stamp"
  done 3<"$build/packages.csv"
}

install() {
  say "building the app"
  quietly "XcodeGen made no project" xcodegen generate --spec "$here/project.yml"
  quietly "the app does not build (is the team right, the phone unlocked, Developer Mode on?)" \
    xcodebuild -project "$here/PalmetteTimer.xcodeproj" -scheme PalmetteTimer \
    -configuration Release -destination "platform=iOS,id=$device" -derivedDataPath "$build/derived" \
    -allowProvisioningUpdates -allowProvisioningDeviceRegistration \
    DEVELOPMENT_TEAM="$team" PRODUCT_BUNDLE_IDENTIFIER="$bundle" build
  quietly "the app is not installed (is the phone connected and unlocked?)" \
    xcrun devicectl device install app --device "$device" --timeout "$limit_s" \
    "$build/derived/Build/Products/Release-iphoneos/PalmetteTimer.app"
}

to_phone() {
  xcrun devicectl device copy to --device "$device" --source "$1" --destination "$2" \
    --user mobile --domain-type appDataContainer --domain-identifier "$bundle" \
    --timeout "$limit_s"
}

from_phone() {
  xcrun devicectl device copy from --device "$device" --source "$1" --destination "$2" \
    --user mobile --domain-type appDataContainer --domain-identifier "$bundle" \
    --timeout "$small_limit_s"
}

# The phone's copy.txt is written last: with it the folder is whole. A folder is never emptied before:
# devicectl's option for that empties all of the app's container.
copy_suite() {
  cp "$suite/manifest.csv" "$compiled/"
  if [ -f "$suite/settings.json" ]; then
    cp "$suite/settings.json" "$compiled/"
  else
    cp "$here/settings.json" "$compiled/"
  fi
  cat "$compiled/manifest.csv" "$compiled/settings.json" | sha256 >"$build/copy.txt"
  rm -f "$build/there.txt"
  if from_phone "$on_phone/copy.txt" "$build/there.txt" >>"$log" 2>&1 &&
    cmp -s "$build/copy.txt" "$build/there.txt"; then
    return
  fi
  say "copying the suite to the phone"
  quietly "the suite is not copied (is the phone connected and unlocked?)" \
    to_phone "$compiled" "$on_phone"
  quietly "the suite is not copied whole" to_phone "$build/copy.txt" "$on_phone/copy.txt"
}

# A file of the app's, if the phone has it, into the build folder.
fetch() {
  rm -f "$build/$1"
  from_phone "$on_phone/$1" "$build/$1" >>"$log" 2>&1 && [ -f "$build/$1" ]
}

# A file of the results; an older one stays until a new one is whole.
fetch_result() {
  if fetch "$1"; then mv -f "$build/$1" "$out/$1"; fi
}

# Rows of results only grow; fewer are those of an app that was deleted and installed again.
fetch_results() {
  fetch results.csv || return 0
  [ "$(rows "$build/results.csv")" -ge "$(rows "$out/results.csv")" ] ||
    fail "the phone has fewer timings than $out/results.csv; name another folder for its new ones"
  mv -f "$build/results.csv" "$out/results.csv"
}

rows() {
  if [ -f "$1" ]; then tail -n +2 "$1" | wc -l; else echo 0; fi
}

# Grows with each timing that was begun, whether it has a row or ended the app.
begun() {
  echo "$(($(rows "$out/results.csv") + $(rows "$build/started.csv")))"
}

# The app ends when all rows are there; what a crash left out is timed by the next launch. It writes
# the name of the run into finished.txt, so that of an earlier run says nothing.
time_packages() {
  local before run idle=0
  run="$(date +%s)-$$"
  rm -f "$build/started.csv"
  while true; do
    before="$(begun)"
    say "timing; leave the phone alone, unlocked and out of the sun"
    # the app says on standard error what it does; its end is told by finished.txt
    xcrun devicectl device process launch --console --terminate-existing --device "$device" \
      "$bundle" "$key" "$run" || say "the app ended early; $log has what else is known"
    fetch_results
    fetch_result placement.csv
    fetch started.csv || true
    if fetch finished.txt && [ "$(cat "$build/finished.txt")" = "$run" ]; then break; fi
    if [ "$(begun)" -gt "$before" ]; then idle=0; else idle=$((idle + 1)); fi
    [ "$idle" -lt "$most_idle_launches" ] ||
      fail "$idle launches began no timing; is the phone locked, or its trust in the developer missing?"
  done
}

main() {
  if [ $# -eq 0 ]; then
    list_phones
    exit
  fi
  check_arguments "$@"
  suite="${1%/}" device="$2" team="$3" out="${4%/}"
  bundle="palmette.timer.$(echo "$team" | tr '[:upper:]' '[:lower:]')"
  key="$(sha256 <"$suite/manifest.csv" | cut -c1-12)"
  compiled="$build/$key/compiled" stamps="$build/$key/stamps" on_phone="Documents/suite/$key"
  readonly suite device team out bundle key compiled stamps on_phone
  mkdir -p "$build" "$out"
  check_owner
  check_tools
  compile
  install
  copy_suite
  time_packages
  say "$out/results.csv: $(($(rows "$out/results.csv"))) timings"
}

main "$@"
