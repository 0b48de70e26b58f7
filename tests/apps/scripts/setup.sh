#!/bin/bash
# scripts: what CGI programs do, one small program each, in sh and Perl.
set -eu
D=$(mkdir -p "$1" && cd "$1" && pwd)
mkdir -p "$D/cgi"

program() { cat >"$D/cgi/$1" && chmod 755 "$D/cgi/$1"; }

program environment <<'X'
#!/bin/sh
printf 'Content-Type: text/plain\n\n'
env | LC_ALL=C sort
printf 'folder=%s\narguments=%s\n' "$(pwd)" "$*"
X
program teapot <<'X'
#!/bin/sh
printf "Status: 418 I'm a teapot\nContent-Type: text/plain\n\nshort and stout\n"
X
program here <<'X'
#!/bin/sh
printf 'Location: /scripts/environment/found?by=location\n\n'
X
program away <<'X'
#!/bin/sh
printf 'Location: http://elsewhere.invalid/page\n\n'
X
program cookies <<'X'
#!/bin/sh
printf 'Content-Type: text/plain\nSet-Cookie: one=1\nSet-Cookie: two=2\nConnection: close\n\n%s\n' "$HTTP_COOKIE"
X
program nph-raw <<'X'
#!/bin/sh
printf 'HTTP/1.1 202 Accepted\r\nContent-Type: text/plain\r\nX-Raw: yes\r\n\r\nraw\n'
X
program silent <<'X'
#!/bin/sh
exit 1
X
program sum <<'X'
#!/bin/sh
printf 'Content-Type: text/plain\n\n%s ' "${CONTENT_LENGTH-none}"
sha256sum | cut -d' ' -f1
X
program noisy <<'X'
#!/usr/bin/perl
$| = 1;
print "Content-Type: application/octet-stream\n\n";
for (1 .. 100) { print STDERR "a line on stderr\n"; print "x" x 10000 }
X
program drops <<'X'
#!/usr/bin/perl
$| = 1;
print "Content-Type: text/plain\n\n";
for (1 .. 3) { print "drop $_\n"; select undef, undef, undef, 0.2 }
X
echo 'no program' >"$D/cgi/text"
chmod 644 "$D/cgi/text"
cat >"$D/hall.ini" <<X
[/scripts]
kind = cgidir
dir = $D/cgi
env = FLAVOUR=a b
X
