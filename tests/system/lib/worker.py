"""A FastCGI application (Perl, libfcgi) that tells of itself and waits for what the test says.

The answer to any request is "PID N\\n", N being how many requests this process has had.  Of the
query's words, joined by '&':
    wait=FILE     says so by FILE.here, then waits until FILE exists
    grow=MIB      keeps that much more memory     child=MIB  has a child that does
    exit=STATUS   ends after the answer       kill=SIG  signals itself before
    daemon=FILE   leaves a daemon behind that holds its pid in FILE: double fork, setsid
    clean         ... which has no environment
Arguments: --pause=FILE waits for FILE before it accepts anything, --fail=FILE ends with status 3
while FILE exists, --listen=PATH binds a socket of its own, --ignore=SIGNAL.
"""
from lib.apps import write_script

TEXT = """\
    #!/usr/bin/perl
    use strict; use FCGI; use POSIX ();
    my (%have, $listen);
    for (@ARGV) { $have{$1} = $2 if /^--(\\w+)=(.*)/ }
    $| = 1;
    sub await { select undef, undef, undef, 0.01 until -e $_[0] }
    sub put { open my $f, ">", "$_[0].new" or die; print $f $_[1]; close $f;
              rename "$_[0].new", $_[0] }
    $SIG{$have{ignore}} = "IGNORE" if $have{ignore};
    if ($have{fail} && -e $have{fail}) { print STDERR "told to fail\\n"; exit 3 }
    await($have{pause}) if $have{pause};
    if ($have{listen}) {
        unlink $have{listen} if $have{listen} =~ m,^/,;
        $listen = FCGI::OpenSocket($have{listen}, 16);
    }
    my (%env, @kept);
    my $r = FCGI::Request(\\*STDIN, \\*STDOUT, \\*STDERR, \\%env, $listen // 0, 0);
    my $n = 0;
    while ($r->Accept() >= 0) {
        $n++;
        my %q = map { /^(\\w+)=?(.*)/ ? ($1 => $2) : () } split /&/, $env{QUERY_STRING} // "";
        if ($q{wait}) { put("$q{wait}.here", $$); await($q{wait}) }
        push @kept, "x" x ($q{grow} << 20) if $q{grow};
        if ($q{child} && !fork) { my $kept = "x" x ($q{child} << 20); sleep 1000; POSIX::_exit(0) }
        if ($q{daemon}) { leave($q{daemon}, exists $q{clean}) }
        kill $q{kill}, $$ if $q{kill};
        print "Content-Type: text/plain\\r\\n\\r\\n$$ $n\\n";
        $r->Finish();
        POSIX::_exit($q{exit}) if exists $q{exit};
    }
    sub leave {
        my ($file, $clean) = @_;
        my $pid = fork // die;
        if ($pid) { waitpid $pid, 0; await($file); return }
        POSIX::setsid();
        POSIX::_exit(0) if fork;
        my $text = q{$SIG{TERM} = sub { exit }; open my $f, ">", "$ARGV[0].new"; print $f $$;
                     close $f; rename "$ARGV[0].new", $ARGV[0]; sleep 1000};
        %ENV = () if $clean;
        exec "/usr/bin/perl", "-e", $text, $file;
    }
    """


def worker(place):
    """The program's path."""
    return write_script(place / "worker", TEXT)


def pool_ini(place, args="", **keys):
    """A site whose /app/ is a pool of such processes."""
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nspawn = {worker(place)} {args}\n{lines}")


def who(gateway, query="", **options):
    """(pid, n) of the process that answered."""
    answer = gateway.get(f"/app/?{query}", **options)
    assert answer.status == 200, answer
    pid, n = answer.body.split()
    return int(pid), int(n)
