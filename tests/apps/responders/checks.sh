#!/bin/bash
. "$(dirname "$0")/../lib.sh"
begin "$@"
head -c 5000000 /dev/urandom >"$T/upload"
sum=$(sha256sum <"$T/upload" | cut -d' ' -f1)

get hello /hello
body_is 'Hello, World'
get hello_name /hello/you%20there
body_is 'Hello, you there'
get head /hello -I
status 200
header Content-Length 13
get echo /echo --data-binary "@$T/upload"
same_as "$T/upload"
get echo_of_unknown_length /echo -H 'Transfer-Encoding: chunked' --data-binary "@$T/upload"
same_as "$T/upload"
get echo_nothing /echo -d ''
bytes 0
get sink /sink --data-binary "@$T/upload"
body_is "5000000 $sum"
for n in 0 1 65535 65536 65537 10000000; do
    get "download_$n" "/download?bytes=$n"
    bytes "$n"
done
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    get "unread_body_$i" /hello --data-binary "@$T/upload"
    body_is 'Hello, World'
done
finish
