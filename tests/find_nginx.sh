#!/usr/bin/env bash
# Finds nginx for the tests behind a proxy, or fetches it with apt as root, without starting a server.
# Without it those tests are skipped, and say so.
set -u
for place in "$(command -v nginx)" /usr/sbin/nginx {/opt/homebrew,/usr/local}/bin/nginx; do
  [ -x "$place" ] && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "no nginx found: installing it for the tests"
  # the package would start a server of its own: the tests have theirs
  policy=/usr/sbin/policy-rc.d
  [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' > $policy; chmod +x $policy; trap "rm -f $policy" EXIT; }
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nginx-light; } >/dev/null 2>&1 && exit 0
fi
echo "NO NGINX could be found or fetched: the tests behind a proxy will be skipped"
[ -z "${CI:-}" ]  # there it is an error
