/*
 * tests/fuzz/replay.c - runs a fuzz target over files without a fuzzer: PROGRAM FILE|DIR...
 *
 * So the kept inputs (corpus/, crashes/) are checked with every compiler and sanitizer.  A target
 * that fails aborts, and the file under way is the last line on stderr.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

enum { LARGEST = 1024 * 1024 };

static unsigned n_replayed;

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *buf = malloc(LARGEST);

    if (!f || !buf) {
        perror(path);
        free(buf);
        if (f)
            fclose(f);
        return -1;
    }
    size_t len = fread(buf, 1, LARGEST, f);
    fclose(f);
    /* A block of exactly this size lets ASan see a read behind the end. */
    uint8_t *exact = malloc(len ? len : 1);
    if (exact) {
        memcpy(exact, buf, len);
        fprintf(stderr, "%s\n", path);
        (void)LLVMFuzzerTestOneInput(exact, len);
        n_replayed++;
    }
    free(exact);
    free(buf);
    return exact ? 0 : -1;
}

static int replay_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int err = 0;

    if (!dir)
        return -1;
    while (!err && (entry = readdir(dir))) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        int n = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        err = n < 0 || (size_t)n >= sizeof(name) ? -1 : replay_file(name);
    }
    closedir(dir);
    return err;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) != 0) {
            perror(argv[i]);
            return 1;
        }
        if ((S_ISDIR(st.st_mode) ? replay_folder : replay_file)(argv[i]) != 0)
            return 1;
    }
    printf("%u inputs\n", n_replayed);
    return n_replayed ? 0 : 1;
}
