#include "errors.h"

struct reason_row {
    int status;
    struct slice text;
};

#define ROW(status, text)                                                                      \
    {                                                                                          \
        status,                                                                                \
        {                                                                                      \
            text, sizeof(text) - 1                                                             \
        }                                                                                      \
    }

/* Sorted by status.  RFC 9110 15 unless said otherwise. */
static const struct reason_row reasons[] = {
    ROW(100, "Continue"),
    ROW(101, "Switching Protocols"),
    ROW(102, "Processing"),  /* RFC 2518 10.1 */
    ROW(103, "Early Hints"), /* RFC 8297 */
    ROW(200, "OK"),
    ROW(201, "Created"),
    ROW(202, "Accepted"),
    ROW(203, "Non-Authoritative Information"),
    ROW(204, "No Content"),
    ROW(205, "Reset Content"),
    ROW(206, "Partial Content"),
    ROW(207, "Multi-Status"),     /* RFC 4918 11.1 */
    ROW(208, "Already Reported"), /* RFC 5842 7.1 */
    ROW(226, "IM Used"),          /* RFC 3229 10.4.1 */
    ROW(300, "Multiple Choices"),
    ROW(301, "Moved Permanently"),
    ROW(302, "Found"),
    ROW(303, "See Other"),
    ROW(304, "Not Modified"),
    ROW(305, "Use Proxy"),
    ROW(307, "Temporary Redirect"),
    ROW(308, "Permanent Redirect"),
    ROW(400, "Bad Request"),
    ROW(401, "Unauthorized"),
    ROW(402, "Payment Required"),
    ROW(403, "Forbidden"),
    ROW(404, "Not Found"),
    ROW(405, "Method Not Allowed"),
    ROW(406, "Not Acceptable"),
    ROW(407, "Proxy Authentication Required"),
    ROW(408, "Request Timeout"),
    ROW(409, "Conflict"),
    ROW(410, "Gone"),
    ROW(411, "Length Required"),
    ROW(412, "Precondition Failed"),
    ROW(413, "Content Too Large"),
    ROW(414, "URI Too Long"),
    ROW(415, "Unsupported Media Type"),
    ROW(416, "Range Not Satisfiable"),
    ROW(417, "Expectation Failed"),
    ROW(421, "Misdirected Request"),
    ROW(422, "Unprocessable Content"),
    ROW(423, "Locked"),            /* RFC 4918 11.3 */
    ROW(424, "Failed Dependency"), /* RFC 4918 11.4 */
    ROW(425, "Too Early"),         /* RFC 8470 5.2 */
    ROW(426, "Upgrade Required"),
    ROW(428, "Precondition Required"),           /* RFC 6585 3 */
    ROW(429, "Too Many Requests"),               /* RFC 6585 4 */
    ROW(431, "Request Header Fields Too Large"), /* RFC 6585 5 */
    ROW(451, "Unavailable For Legal Reasons"),   /* RFC 7725 3 */
    ROW(500, "Internal Server Error"),
    ROW(501, "Not Implemented"),
    ROW(502, "Bad Gateway"),
    ROW(503, "Service Unavailable"),
    ROW(504, "Gateway Timeout"),
    ROW(505, "HTTP Version Not Supported"),
    ROW(506, "Variant Also Negotiates"),         /* RFC 2295 8.1 */
    ROW(507, "Insufficient Storage"),            /* RFC 4918 11.5 */
    ROW(508, "Loop Detected"),                   /* RFC 5842 7.2 */
    ROW(511, "Network Authentication Required"), /* RFC 6585 6 */
};

struct slice http_reason(int status)
{
    size_t lo = 0, hi = sizeof(reasons) / sizeof(reasons[0]);

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (reasons[mid].status == status)
            return reasons[mid].text;
        if (reasons[mid].status < status)
            lo = mid + 1;
        else
            hi = mid;
    }
    return slice_of("", 0);
}
