#!/usr/bin/env bash
# Finds PostgreSQL's programs for the store's tests, or fetches them with apt as root, without starting a server.
# Without them those tests run on SQLite alone, and say so.
set -u
for place in "$(command -v pg_ctl)" /usr/lib/postgresql/*/bin/pg_ctl {/opt/homebrew,/usr/local}/opt/postgresql*/bin/pg_ctl; do
  [ -x "$place" ] && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "no PostgreSQL found: installing it for the tests"
  # the package would make a cluster of its own and start it: the tests have theirs
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] ||
    echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql; } >/dev/null 2>&1 && exit 0
fi
echo "NO POSTGRESQL could be found or fetched: the store will be tested on SQLite alone"
[ -z "${CI:-}" ]  # there it is an error
