# Sourced by every checks.sh:   . "$(dirname "$0")/../lib.sh"; begin "$@"
#
#   get NAME PATH [curl arguments]   one request with the protocol of HALL_PROTO; then assert:
#   status CODE | header NAME PREFIX | header_ends NAME SUFFIX | no_header NAME
#   body STRING | body_is STRING
#   bytes N | same_as FILE
#   finish                           prints "N passed, N failed" as the last line
#
# body, headers and the rest of the last answer are in $T.  Bash, curl and coreutils.
set -u
PASSED=0 FAILED=0

begin() {
    BASE=${1:?usage: checks.sh BASE_URL}
    case ${HALL_PROTO:-h1} in
    h1) PROTOCOL=(--http1.1) VERSION=1.1 ;;
    h2) PROTOCOL=(--http2) VERSION=2 ;;
    h2c) PROTOCOL=(--http2-prior-knowledge) VERSION=2 ;;
    *) echo "HALL_PROTO: h1, h2 or h2c" && exit 2 ;;
    esac
    T=$(mktemp -d)
    trap 'rm -rf "$T"' EXIT
}

good() { PASSED=$((PASSED + 1)); }
bad() { FAILED=$((FAILED + 1)) && echo "FAIL $CHECK: $*"; }
assert() { # CONDITION... :: what is said when it is false
    local condition=()
    while [ "$1" != :: ]; do condition+=("$1") && shift; done
    shift
    if "${condition[@]}"; then good; else bad "$*"; fi
}

get() {
    CHECK=$1
    local path=$2 written
    shift 2
    : >"$T/body"
    written=$(curl -sSk --path-as-is --max-time 30 "${PROTOCOL[@]}" -o "$T/body" -D "$T/headers" \
        -w '%{http_code} %{http_version}' "$@" "$BASE$path" 2>"$T/error") ||
        bad "curl: $(tail -1 "$T/error")"
    read -r STATUS SPOKEN <<<"$written"
    tr -d '\r' <"$T/headers" >"$T/fields"
    assert [ "$SPOKEN" = "$VERSION" ] :: "HTTP/$SPOKEN instead of HTTP/$VERSION"
}

value() { # of the last field called $1
    awk -v name="${1,,}:" 'index(tolower($0), name) == 1 { v = substr($0, length(name) + 1) }
        END { sub(/^[ \t]+/, "", v); print v }' "$T/fields"
}

status() { assert [ "$STATUS" = "$1" ] :: "status $STATUS instead of $1"; }
header() {
    local v
    v=$(value "$1")
    assert [ "${v#"$2"}" != "$v" ] :: "$1: '$v' instead of '$2...'"
}
header_ends() {
    local v
    v=$(value "$1")
    assert [ "${v%"$2"}" != "$v" ] :: "$1: '$v' instead of '...$2'"
}
no_header() { assert [ -z "$(value "$1")" ] :: "there is a field $1"; }
body() { assert grep -qF -- "$1" "$T/body" :: "no '$1' in the body"; }
body_is() { assert [ "$(cat "$T/body")" = "$1" ] :: "body '$(head -c 100 "$T/body")'"; }
bytes() { assert [ "$(stat -c %s "$T/body")" = "$1" ] :: "$(stat -c %s "$T/body") bytes, not $1"; }
same_as() { assert cmp -s "$T/body" "$1" :: "the body differs from $1"; }

finish() {
    echo "$PASSED passed, $FAILED failed"
    [ $FAILED -eq 0 ]
}
