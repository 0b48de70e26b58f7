#!/bin/bash
# guestbook: a Perl CGI program with a form and a file, behind a password for those who write, and
# a folder of files beside it.
set -eu
D=$(mkdir -p "$1" && cd "$1" && pwd)
mkdir -p "$D/files/sub"
cat >"$D/guestbook.cgi" <<'X'
#!/usr/bin/perl
# GET lists, POST text=... adds and answers 303.
use strict;
use Fcntl ':flock';
my $book = "$ENV{GUESTBOOK}/book";
if ($ENV{REQUEST_METHOD} eq 'POST') {
    read STDIN, my $body, $ENV{CONTENT_LENGTH};
    my ($text) = $body =~ /(?:^|&)text=([^&]*)/;
    $text =~ tr/+/ /;
    $text =~ s/%([0-9a-fA-F]{2})/chr hex $1/ge;
    $text =~ s/[<>&\n]/ /g;
    open my $f, '>>', $book or die "$book: $!";
    flock $f, LOCK_EX;
    print $f "$ENV{REMOTE_USER}: $text\n";
    close $f;
    print "Status: 303 See Other\nLocation: http://$ENV{HTTP_HOST}$ENV{SCRIPT_NAME}\n\n";
} else {
    print "Content-Type: text/html; charset=utf-8\n\n<ul>\n";
    if (open my $f, '<', $book) { print "<li>$_" while <$f> }
    print "</ul><form method=post><input name=text></form>\n";
}
X
chmod 755 "$D/guestbook.cgi"
rm -f "$D/book"
echo 'plain text' >"$D/files/text.txt"
echo '<p>index</p>' >"$D/files/sub/index.html"
seq 100000 >"$D/files/numbers.txt"
[ "$(id -u)" -ne 0 ] || chown -R www-data:www-data "$D"
cat >"$D/hall.ini" <<X
[/guestbook]
kind = cgi
exec = $D/guestbook.cgi
env = GUESTBOOK=$D
auth = basic
auth_match = ^/guestbook/sign\$
[/files]
kind = static
dir = $D/files
X
