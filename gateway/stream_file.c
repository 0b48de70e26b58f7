/* What of a response is bytes of a file, for the protocols (stream.h). */
#include "stream.h"

#include "conn.h"

void stream_file_took_locked(struct stream *s, size_t n, int err)
{
    struct stream_out *out = &s->out;

    lock_assert_held(&s->conn->mu);
    out->file_at += (int64_t)n;
    out->file_left = err ? 0 : out->file_left - (int64_t)n;
    out->file_err = err;
    out->n_body += n;
    if (out->file_left)
        return;
    out->eof = !err;
    stream_event_locked(s, STREAM_EV_WRITABLE);
}

size_t stream_file_read_locked(struct stream *s, uint8_t *dst, size_t n)
{
    uint64_t left = (uint64_t)s->out.file_left;
    struct iovec part = {dst, n < left ? n : (size_t)left};

    return stream_file_readv_locked(s, &part, 1);
}

size_t stream_file_readv_locked(struct stream *s, const struct iovec *parts, unsigned n)
{
    struct stream_out *out = &s->out;

    lock_assert_held(&s->conn->mu);
    ssize_t got = open_file_readv_warm(out->file, parts, n, out->file_at);
    if (got > 0)
        return (size_t)got;
    /* To wait for a disk is a job's part, and to say what is wrong with the file that of who reads
     * it: the handler sees to both. */
    out->file_cold = out->file_left;
    out->file_left = 0;
    stream_event_locked(s, STREAM_EV_WRITABLE);
    return 0;
}
