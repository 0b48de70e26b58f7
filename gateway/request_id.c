#include "request_id.h"

#include <sys/random.h>

#include "siphash.h"
#include "loop.h"

void request_id_make(char ret_id[REQUEST_ID_LEN])
{
    static const char digits[] = "0123456789abcdef";
    static _Thread_local struct siphash_key key;
    static _Thread_local uint64_t n;

    /* Without a random key the time makes one: an id is no secret, only a name. */
    if (n == 0 && getrandom(&key, sizeof(key), 0) != (ssize_t)sizeof(key))
        key = (struct siphash_key){{clock_now_us(), (uintptr_t)&key}};
    n++;
    uint64_t v = siphash(key, &n, sizeof(n)).v[0];
    for (int i = REQUEST_ID_LEN; i-- > 0; v >>= 4)
        ret_id[i] = digits[v & 15];
}
