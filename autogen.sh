#!/bin/sh
# Makes ./configure from configure.ac; needed once in a fresh checkout (not in a release tarball).
set -eu
cd "$(dirname "$0")"
mkdir -p build-aux
exec autoreconf --install --warnings=all,error
