/*
 * gateway/beneath.h - open a settled path below a root directory, so that nothing outside is
 * reachable.
 *
 * openat2 with RESOLVE_BENEATH; links = inside: links may not lead out of the root; links =
 * follow: they may. Threads  any
 */
#ifndef GATEWAY_BENEATH_H
#define GATEWAY_BENEATH_H

#include "../conf/conf.h"

/* Open rel (relative, settled; double slashes merged here) below root.  flags: O_RDONLY, O_PATH
 * ...; O_CLOEXEC, O_NONBLOCK and O_NOCTTY are added. A descriptor, or -1 with errno: ENOENT
 * (also for ENOTDIR, ENAMETOOLONG), EACCES (also for EXDEV and ELOOP: leads outside), others.
 */
int beneath_open(const char *root, struct slice rel, int flags, enum conf_links links);

#endif
