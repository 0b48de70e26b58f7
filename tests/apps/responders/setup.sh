#!/bin/bash
# responders: FastCGI applications that the gateway starts, in C on libfcgi; one in threads, one in
# several processes.
set -eu
D=$(mkdir -p "$1" && cd "$1" && pwd)
HERE=$(cd "$(dirname "$0")" && pwd)
make -s -C "$HERE/../../.." apps
cp "$HERE"/../../../build/apps/{hello,echo,sink,download} "$D"
[ "$(id -u)" -ne 0 ] || chown -R www-data:www-data "$D"

responder() { # NAME PROCESSES
    printf '[/%s]\nkind = fcgi\nexec = %s\nsocket = %s.sock\ncmd = %s\nprocs = %s\n' \
        "$1" "$D/$1" "$D/$1" "$D/$1" "$2"
}
{
    responder hello 1
    responder echo 2
    responder sink 2
    responder download 3
} >"$D/hall.ini"
