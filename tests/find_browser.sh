#!/usr/bin/env bash
# Finds a browser for the tests in tests/browser, or fetches one: with apt as root, else Playwright's own.
# Without one those tests are skipped, and say so.
set -u
for name in "${DECONVDEMO_CHROMIUM:-}" chromium chromium-browser google-chrome; do
  [ -n "$name" ] && command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "no browser found: installing chromium"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >/dev/null 2>&1 && exit 0
fi
echo "no browser found: fetching Playwright's"
"$1" -m playwright install chromium >/dev/null 2>&1 && exit 0
echo "NO BROWSER could be found or fetched: the browser tests will be skipped"
[ -z "${CI:-}" ]  # there it is an error
