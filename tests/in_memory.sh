#!/bin/sh
# Runs a command with its temporary files in memory, where there is room for them: the tests write ten thousands of
# small files and wait for databases to reach the disk. They go when the command ends.
free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
if [ "${free:-0}" -gt 3000000 ] && [ -w /dev/shm ]; then
  TMPDIR=$(mktemp -d /dev/shm/deconvdemo-tests-XXXXXX)
  chmod 711 "$TMPDIR" # PostgreSQL runs as somebody else
  export TMPDIR
  trap 'rm -rf "$TMPDIR"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
fi
"$@"
