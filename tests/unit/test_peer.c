/* fcgi/peer.h: what is looked at on the way to a socket.  Other users' files need root: those are
 * in tests/system/test_f_peer_user.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../fcgi/peer.h"
#include "../../gateway/err.h"

static char dir[] = "/tmp/h2cgi-peer-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    char command[64];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return chdir("/") == 0 ? system(command) : -1;
}

/* A listening socket at dir/name. */
static int listen_at(const char *name)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", name);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static int look(const char *name, char text[PEER_TEXT])
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    text[0] = '\0';
    return peer_owner(path, geteuid(), text);
}

static void folder(const char *name, mode_t mode)
{
    assert_int_equal(mkdir(name, 0700), 0);
    assert_int_equal(chmod(name, mode), 0);
}

static void test_walk(void **state)
{
    static const struct {
        const char *path;
        int want;
    } rows[] = {
        {"a/s", 0},
        {"a//./s", 0},
        {"a/../a/s", 0},
        {"a/s/", GW_EBACKEND_CONNECT}, /* as connect() has it: no folder */
        {"to_a/s", 0},
        {"to_s", 0},
        {"absolute", 0},
        {"open/../a/s", GW_EBACKEND_PEER}, /* who may write there may put a link for .. ahead */
        {"open/s", GW_EBACKEND_PEER},
        {"group/s", GW_EBACKEND_PEER},
        {"sticky/s", 0},
        {"a", GW_EBACKEND_CONNECT},
        {"a/none", GW_EBACKEND_CONNECT},
        {"a/s/x", GW_EBACKEND_CONNECT},
        {"a/file", GW_EBACKEND_CONNECT},
        {"nowhere", GW_EBACKEND_CONNECT},
        {"circle", GW_EBACKEND_CONNECT},
    };
    static const char *const folders[] = {"a", "open", "group", "sticky"};
    char text[PEER_TEXT], name[32], path[PATH_MAX];

    (void)state;
    folder("a", 0755);
    folder("open", 0707);
    folder("group", 0720);
    folder("sticky", 01777);
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof(name), "%s/s", folders[i]);
        close(listen_at(name));
    }
    fclose(fopen("a/file", "w"));
    (void)snprintf(path, sizeof(path), "%s/./to_a//s", dir);
    assert_int_equal(symlink("a", "to_a") | symlink("sticky/../to_a/./s", "to_s") |
                         symlink(path, "absolute") | symlink("none", "nowhere") |
                         symlink("circle", "circle"),
                     0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (look(rows[i].path, text) != rows[i].want)
            fail_msg("%s: not %d (%s)", rows[i].path, rows[i].want, text);
        assert_int_equal(text[0] != '\0', rows[i].want == GW_EBACKEND_PEER);
    }
    (void)look("open/s", text);
    (void)snprintf(path, sizeof(path),
                   "%s/open can be written by other users (owner uid %lu, mode 0707)", dir,
                   (unsigned long)geteuid());
    assert_string_equal(text, path);
}

static void test_too_long(void **state)
{
    static char path[2 * PATH_MAX];
    char text[PEER_TEXT];

    (void)state;
    memset(path, '/', sizeof(path) - 1);
    assert_int_equal(peer_owner(path, geteuid(), text), GW_EBACKEND_CONNECT);
    memset(path, 'a', NAME_MAX + 2);
    path[0] = '/';
    path[NAME_MAX + 2] = '\0';
    assert_int_equal(peer_owner(path, geteuid(), text), GW_EBACKEND_CONNECT);
    assert_int_equal(peer_owner("", geteuid(), text), GW_EBACKEND_CONNECT);
    assert_int_equal(peer_owner("/", geteuid(), text), GW_EBACKEND_CONNECT);
}

static void test_listener(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "l"};
    char text[PEER_TEXT] = "";
    int listener = listen_at("l"), fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(peer_listener(fd, geteuid(), text), 0);
    assert_int_equal(peer_listener(fd, geteuid() + 1, text),
                     geteuid() == 0 ? 0 : GW_EBACKEND_PEER);
    close(fd);
    close(listener);
    assert_int_equal(peer_listener(-1, geteuid(), text), GW_EBACKEND_CONNECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_listener),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
