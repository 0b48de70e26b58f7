#include "httpdate.h"

#include <stdio.h>
#include <time.h>

static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const long_day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                             "Thursday", "Friday", "Saturday"};
static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static const int64_t last_second = 253402300799; /* 9999-12-31 23:59:59 */

struct slice httpdate_format(char out[HTTPDATE_LEN + 1], int64_t t)
{
    time_t clamped = (time_t)(t < 0 ? 0 : t > last_second ? last_second : t);
    struct tm tm;

    (void)gmtime_r(&clamped, &tm); /* fails for years beyond an int only */
    /* Not strftime: names must not follow a locale.  The remainders are for the compiler, which
     * cannot know the ranges of struct tm. */
    (void)snprintf(out, HTTPDATE_LEN + 1, "%s, %02u %s %04u %02u:%02u:%02u GMT",
                   day_names[(unsigned)tm.tm_wday % 7], (unsigned)tm.tm_mday % 100,
                   month_names[(unsigned)tm.tm_mon % 12], (unsigned)(tm.tm_year + 1900) % 10000,
                   (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
                   (unsigned)tm.tm_sec % 100);
    return slice_of(out, HTTPDATE_LEN);
}

/* ---- parsing: each reader takes its part off the front of *s ---- */

static bool take(struct slice *s, const char *literal)
{
    struct slice l = slice_str(literal);

    if (!slice_starts(*s, l))
        return false;
    *s = slice_from(*s, l.n);
    return true;
}

static bool take_name(struct slice *s, const char *const *names, int n, int *ret_index)
{
    for (int i = 0; i < n; i++) {
        if (take(s, names[i])) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

/* Exactly n digits. */
static bool take_number(struct slice *s, size_t n, int *ret)
{
    int64_t v = s->n < n ? -1 : slice_decimal(slice_of(s->p, n), 9999);

    if (v < 0)
        return false;
    *s = slice_from(*s, n);
    *ret = (int)v;
    return true;
}

static bool take_time(struct slice *s, struct tm *tm)
{
    return take_number(s, 2, &tm->tm_hour) && take(s, ":") && take_number(s, 2, &tm->tm_min) &&
           take(s, ":") && take_number(s, 2, &tm->tm_sec);
}

static bool take_year(struct slice *s, struct tm *tm)
{
    if (!take_number(s, 4, &tm->tm_year))
        return false;
    tm->tm_year -= 1900;
    return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool parse_imf(struct slice s, struct tm *tm)
{
    return take_name(&s, day_names, 7, &tm->tm_wday) && take(&s, ", ") &&
           take_number(&s, 2, &tm->tm_mday) && take(&s, " ") &&
           take_name(&s, month_names, 12, &tm->tm_mon) && take(&s, " ") && take_year(&s, tm) &&
           take(&s, " ") && take_time(&s, tm) && take(&s, " GMT") && s.n == 0;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; a year that seems more than 50 years ahead is of the last
 * century. */
static bool parse_rfc850(struct slice s, struct tm *tm, int64_t now)
{
    time_t t = (time_t)now;
    struct tm today = {.tm_year = 70};

    if (!take_name(&s, long_day_names, 7, &tm->tm_wday) || !take(&s, ", ") ||
        !take_number(&s, 2, &tm->tm_mday) || !take(&s, "-") ||
        !take_name(&s, month_names, 12, &tm->tm_mon) || !take(&s, "-") ||
        !take_number(&s, 2, &tm->tm_year) || !take(&s, " ") || !take_time(&s, tm) ||
        !take(&s, " GMT") || s.n != 0)
        return false;
    (void)gmtime_r(&t, &today);
    tm->tm_year += today.tm_year - today.tm_year % 100;
    if (tm->tm_year > today.tm_year + 50)
        tm->tm_year -= 100;
    return true;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool parse_asctime(struct slice s, struct tm *tm)
{
    if (!take_name(&s, day_names, 7, &tm->tm_wday) || !take(&s, " ") ||
        !take_name(&s, month_names, 12, &tm->tm_mon) || !take(&s, " "))
        return false;
    bool day =
        take(&s, " ") ? take_number(&s, 1, &tm->tm_mday) : take_number(&s, 2, &tm->tm_mday);
    return day && take(&s, " ") && take_time(&s, tm) && take(&s, " ") && take_year(&s, tm) &&
           s.n == 0;
}

/* A 31 February is a day of March to timegm(). */
static bool is_day(const struct tm *tm)
{
    struct tm day = {.tm_year = tm->tm_year, .tm_mon = tm->tm_mon, .tm_mday = tm->tm_mday};

    (void)timegm(&day);
    return day.tm_mday == tm->tm_mday && day.tm_mon == tm->tm_mon;
}

static bool in_range(const struct tm *tm)
{
    /* 60 is a leap second */
    return tm->tm_mday >= 1 && tm->tm_mday <= 31 && tm->tm_hour <= 23 && tm->tm_min <= 59 &&
           tm->tm_sec <= 60 && is_day(tm);
}

int64_t httpdate_parse(struct slice text, int64_t now)
{
    struct tm tm = {0};

    if (!parse_imf(text, &tm)) {
        tm = (struct tm){0};
        if (!parse_rfc850(text, &tm, now)) {
            tm = (struct tm){0};
            if (!parse_asctime(text, &tm))
                return -1;
        }
    }
    if (!in_range(&tm))
        return -1;
    int64_t t = (int64_t)timegm(&tm);
    return t < 0 || t > last_second ? -1 : t; /* a leap second at the end of 9999 */
}
