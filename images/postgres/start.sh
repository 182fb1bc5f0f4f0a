#!/bin/sh
# Makes the database where there is none, then becomes its server; by the variables of the official image. A first start
# that is cut off leaves an unfinished folder beside the database, and the next start begins again.
set -eu
export LC_ALL=C
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  busybox rm -rf "$PGDATA.new"
  (umask 077 && echo "$POSTGRES_PASSWORD" > /tmp/password)
  initdb --pgdata="$PGDATA.new" --username="$POSTGRES_USER" --pwfile=/tmp/password \
    --auth=scram-sha-256 --encoding=UTF8 --no-locale
  busybox rm /tmp/password
  echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D "$PGDATA.new" postgres
  busybox mv "$PGDATA.new" "$PGDATA"
fi
exec postgres -D "$PGDATA" -c listen_addresses=127.0.0.1 -c jit=off
