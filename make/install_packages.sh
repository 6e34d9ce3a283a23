#!/bin/sh
# install_packages.sh LIST...: installs the Debian packages named in the lists (one a line, # comments) that
# are missing, as root or with sudo. Does nothing when none is.
set -eu

wanted=$(sed -e 's/#.*//' "$@")
if ! command -v dpkg-query >/dev/null; then
  echo "Not a Debian system: what must be there is listed in $*." >&2
  exit 0
fi
installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $wanted 2>/dev/null |
  sed -n 's/^.i *//p') || true
missing=
for package in $wanted; do
  case "
$installed
" in
    *"
$package
"*) ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Missing packages:$missing. Install them as root: apt-get install$missing" >&2
    exit 1
  fi
  as_root="sudo"
fi
echo "Installing Debian packages:$missing"
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing \
  >/dev/null
