#!/usr/bin/env bash
# Makes a small signed repository of Debian packages, to try builds and patches with: it has one package, hello-byref, in
# the version that is asked for. Run again with another version, it is what a repository is some weeks later.
#
#   small-repo.sh DIR VERSION     suite stable, component main; the public key is DIR/key.gpg
#
# Needs dpkg-deb and gpg. Exit codes: 0 made, 1 something failed.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

PACKAGE=hello-byref
KEY='byref small repository <nobody@example.com>'

main() {
  [ $# -eq 2 ] || fail 'a directory and a version are needed' 'usage: small-repo.sh DIR VERSION'
  command -v gpg >/dev/null || fail 'no gpg' 'install it: apt-get install gpg'
  mkdir -p "$1"
  cd "$1"
  # apt reads it as a user of its own.
  chmod 755 .
  export GNUPGHOME=$PWD/.gnupg
  trap 'gpgconf --kill all 2>/dev/null || true' EXIT
  make_key
  make_package "$2"
  make_index "$(dpkg --print-architecture)"
  sign
}

make_key() {
  [ ! -e key.gpg ] || return 0
  mkdir -p -m 700 "$GNUPGHOME"
  gpg --batch --quiet --passphrase '' --quick-generate-key "$KEY" ed25519 sign never 2>/dev/null
  gpg --batch --quiet --yes --output key.gpg --export "$KEY"
}

# make_package VERSION: a program that says which version it is. Older ones go.
make_package() {
  local tree
  tree=$(mktemp -d)
  mkdir -p "$tree/DEBIAN" "$tree/usr/bin" pool
  chmod 755 "$tree" pool
  cat >"$tree/DEBIAN/control" <<END
Package: $PACKAGE
Version: $1
Architecture: all
Maintainer: $KEY
Description: says hello, and which version it is
END
  printf '#!/bin/sh\necho "hello from %s %s"\n' "$PACKAGE" "$1" >"$tree/usr/bin/$PACKAGE"
  chmod 755 "$tree/usr/bin/$PACKAGE"
  rm -f pool/*.deb
  dpkg-deb --root-owner-group --build "$tree" "pool/${PACKAGE}_$1_all.deb" >/dev/null
  rm -r "$tree"
}

# make_index ARCHITECTURE: what apt asks for.
make_index() {
  local index=main/binary-$1 deb
  mkdir -p "dists/stable/$index"
  for deb in pool/*.deb; do
    dpkg-deb --field "$deb"
    printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256 "$deb")"
  done >"dists/stable/$index/Packages"
  cd dists/stable
  cat >Release <<END
Origin: byref
Suite: stable
Codename: stable
Components: main
Architectures: $1
Date: $(LC_ALL=C date --utc +'%a, %d %b %Y %H:%M:%S UTC')
SHA256:
 $(sha256 "$index/Packages") $(stat -c %s "$index/Packages") $index/Packages
END
  cd ../..
}

sha256() { sha256sum "$1" | cut -d ' ' -f 1; }

sign() {
  gpg --batch --quiet --yes --digest-algo SHA512 --output dists/stable/InRelease --clearsign dists/stable/Release
  rm dists/stable/Release
}

main "$@"
