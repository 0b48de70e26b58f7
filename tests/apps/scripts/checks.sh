#!/bin/bash
. "$(dirname "$0")/../lib.sh"
begin "$@"

get environment '/scripts/environment/a%20b?x=1&y=2'
status 200
header Content-Type text/plain
for line in 'PATH_INFO=/a b' 'QUERY_STRING=x=1&y=2' 'SCRIPT_NAME=/scripts/environment' \
    'GATEWAY_INTERFACE=CGI/1.1' 'FLAVOUR=a b' 'REMOTE_ADDR=127.0.0.1' 'REQUEST_METHOD=GET'; do
    body "$line"
done
get proxy /scripts/environment -H 'Proxy: http://evil.invalid/'
assert [ "$(grep -c HTTP_PROXY "$T/body")" = 0 ] :: 'Proxy reached the script'
get arguments '/scripts/environment?one+two%21'
body 'arguments=one two!'
get teapot /scripts/teapot
status 418
body_is 'short and stout'
get local_redirect /scripts/here
status 200
body 'PATH_INFO=/found'
body 'QUERY_STRING=by=location'
get redirect /scripts/away
status 302
header Location http://elsewhere.invalid/page
get cookies /scripts/cookies -H 'Cookie: a=b'
body_is a=b
assert [ "$(grep -ci '^set-cookie:' "$T/fields")" = 2 ] :: 'not two cookies'
get raw /scripts/nph-raw
status 202
header X-Raw yes
get silent /scripts/silent
status 502
get missing /scripts/nothing
status 404
get not_executable /scripts/text
status 403
get outside '/scripts/..%2f..%2fetc/passwd'
assert [ "$STATUS" -ge 400 ] :: "status $STATUS for a path outside"
get head /scripts/teapot -I
status 418
head -c 3000000 /dev/urandom >"$T/upload"
sum=$(sha256sum <"$T/upload" | cut -d' ' -f1)
get upload /scripts/sum --data-binary "@$T/upload"
body_is "3000000 $sum"
get upload_of_unknown_length /scripts/sum -H 'Transfer-Encoding: chunked' --data-binary "@$T/upload"
body_is "3000000 $sum"
get noisy /scripts/noisy
bytes 1000000
get drops /scripts/drops
body 'drop 3'
finish
