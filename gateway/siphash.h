/*
 * gateway/siphash.h - SipHash-2-4 with 128 bits of output: a keyed hash for what strangers
 * choose.  Pure.
 *
 * Threads  any
 * Source   Aumasson and Bernstein, "SipHash: a fast short-input PRF", and their reference
 *          implementation for the 128-bit output
 */
#ifndef GATEWAY_SIPHASH_H
#define GATEWAY_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k[2];
};

struct siphash_tag {
    uint64_t v[2];
};

struct siphash_tag siphash(struct siphash_key key, const void *p, size_t n);

#endif
