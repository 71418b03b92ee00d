#!/bin/sh
# An environment that unpacks itself: sh FILE --prefix DIR
# What follows the last line of this script is an archive, whose digest is checked before anything is unpacked.
set -eu
umask 022
unset CDPATH
name='@NAME@' platform='@PLATFORM@'
sum=@SUM@
start=@START@ size=@SIZE@
unpacker='@UNPACKER@' python='@PYTHON@'

say() { printf '%s: %s\n' "$name" "$*" >&2; }
fail() {
  status=$1
  shift
  say "$@"
  exit "$status"
}
usage() {
  cat <<END
$name: an environment for $platform, in one file

  sh $0 --prefix DIR    unpack it in DIR, which is made; an existing DIR has to be empty
  sh $0 --check         only check that the file is whole

It needs tar${unpacker:+ and ${unpacker%% *}}, and no network. Exit status: 0 done; 2 usage; 5 damaged; 6 this machine refused.
END
}
payload() { tail -c "+$start" "$self"; }
digest() {
  if command -v sha256sum >/dev/null 2>&1; then
    payload | sha256sum
  elif command -v shasum >/dev/null 2>&1; then
    payload | shasum -a 256
  elif command -v openssl >/dev/null 2>&1; then
    payload | openssl dgst -sha256 -r
  fi
}

self=$0 prefix='' check=''
while [ $# -gt 0 ]; do
  case $1 in
    --prefix | -p)
      [ $# -ge 2 ] || fail 2 "$1 needs a folder"
      prefix=$2
      shift
      ;;
    --prefix=*) prefix=${1#*=} ;;
    --check) check=1 ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) fail 2 "unknown argument: $1 (see 'sh $0 --help')" ;;
  esac
  shift
done
[ -n "$prefix$check" ] || fail 2 "say where to unpack: sh $0 --prefix DIR"

[ "$(wc -c <"$self" | tr -d ' ')" -eq $((start - 1 + size)) ] || fail 5 "$self is not whole: copy it again"
found=$(digest)
found=${found%% *}
if [ -n "$found" ]; then
  [ "$found" = "$sum" ] || fail 5 "$self is damaged (sha256 $found, not $sum): copy it again"
elif [ -n "$check" ]; then
  fail 6 "there is no sha256sum, shasum or openssl here to check the file with"
fi
if [ -n "$check" ]; then
  say "the file is whole (sha256 of its archive: $sum)"
  exit 0
fi

while :; do # neither a slash nor a dot at the end: the parent's name is wanted
  case $prefix in
    *[!/]/) prefix=${prefix%/} ;;
    */.) prefix=${prefix%.} ;;
    *) break ;;
  esac
done
case $prefix in
  /*) ;;
  *) prefix=$(pwd -P)/$prefix ;;
esac
case $prefix in
  *'
'*) fail 2 "a folder whose name has two lines cannot hold an environment" ;;
  *[\'\"\\]*) fail 2 "a folder whose name has quotes or backslashes cannot hold an environment: files would be broken by it" ;;
  */.. | */../* | / | //) fail 2 "cannot unpack in $prefix: choose another folder" ;;
esac
if [ -h "$prefix" ]; then
  fail 2 "$prefix is a link: choose another folder"
elif [ -d "$prefix" ]; then
  [ -z "$(ls -A "$prefix")" ] || fail 2 "$prefix is not empty: choose another folder, or remove it yourself"
elif [ -e "$prefix" ]; then
  fail 2 "$prefix is no folder: choose another place"
fi
command -v tar >/dev/null 2>&1 || fail 6 "there is no tar on this machine"
[ -z "$unpacker" ] || command -v "${unpacker%% *}" >/dev/null 2>&1 || fail 6 "there is no ${unpacker%% *} on this machine"

parent=${prefix%/*}
parent=${parent:-/}
mkdir -p "$parent" || fail 6 "cannot make the folder $parent"
stage=${parent%/}/.hermetic-unpack-$$
for old in "${parent%/}"/.hermetic-unpack-*; do
  [ ! -d "$old" ] || say "$old is there: remove it, unless somebody is unpacking at this moment"
done
mkdir -m 700 "$stage" || fail 6 "cannot write in $parent"
trap 'rm -rf "$stage"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "unpacking"
if [ -n "$unpacker" ]; then
  payload | $unpacker | tar -xpof - -C "$stage" || fail 6 "cannot unpack in $parent: see above"
else
  payload | tar -xpof - -C "$stage" || fail 6 "cannot unpack in $parent: see above"
fi
run=$stage/env/$python
[ -n "$python" ] || run=$(command -v python3) || fail 6 "there is no python3 on this machine, and none in the environment"
[ -n "$found" ] && checked='' || checked=$self
case $checked in
  '' | /*) ;;
  *) checked=$(pwd -P)/$checked ;;
esac
cd "$stage"
status=0
env -i PATH="$PATH" LC_ALL=C.UTF-8 PYTHONHASHSEED=0 \
  "$run" -S -B -W ignore "$stage/unpack.py" "$prefix" "$checked" "$start" "$sum" || status=$?
cd /
[ "$status" -eq 0 ] || fail "$status" "nothing was unpacked"
say "unpacked in $prefix"
exit 0
