#!/bin/bash
. "$(dirname "$0")/../lib.sh"
begin "$@"
mark="entry $$ ${HALL_PROTO:-h1}"

get list /guestbook
status 200
header Content-Type text/html
get no_password /guestbook/sign -d "text=$mark"
status 401
header WWW-Authenticate 'Basic realm='
get wrong_password /guestbook/sign -u alice:wrong -d "text=$mark"
status 401
get other_users_password /guestbook/sign -u alice:builder -d "text=$mark"
status 401
get sign /guestbook/sign -u alice:wonder --data-urlencode "text=$mark"
status 303
get signed /guestbook
body "alice: $mark"
assert [ "$(grep -c "$mark" "$T/body")" = 1 ] :: 'not exactly one entry'

get file /files/text.txt
status 200
header Content-Type text/plain
body_is 'plain text'
tag=$(value ETag)
get not_modified /files/text.txt -H "If-None-Match: $tag"
status 304
bytes 0
get range /files/numbers.txt -r 2-5
status 206
header Content-Range 'bytes 2-5/'
bytes 4
get whole /files/numbers.txt
bytes 588895
get folder /files/sub
status 301
header_ends Location /files/sub/
get index /files/sub/
status 200
body_is '<p>index</p>'
get missing_file /files/none
status 404
get posted_file /files/text.txt -d x
status 405
finish
