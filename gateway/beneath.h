/*
 * gateway/beneath.h - open a settled path below a root directory, so that nothing outside is
 * reachable.
 *
 * links = inside: links may not lead out of the root; follow: they may; never: there may be none;
 * owner: anywhere, where link and target belong to the same user (beneath_owner.h).  The check and
 * the open are one step of the kernel's (openat2), so nobody can swap a folder for a link between
 * them.  Links in the name of the root are the administrator's, and followed.
 *
 * Threads  any
 */
#ifndef GATEWAY_BENEATH_H
#define GATEWAY_BENEATH_H

#include "../conf/conf.h"

/*
 * Open rel (relative, settled; leading and double slashes are ignored; empty: the root itself)
 * below root.  flags: O_RDONLY, O_PATH ...; O_CLOEXEC, O_NONBLOCK and O_NOCTTY are added.
 * A descriptor, or -1 with errno:
 *     ENOENT   nothing there (also for ENOTDIR, ENAMETOOLONG)
 *     EACCES   a folder may not be searched, or the file not be read
 *     EPERM    a link that the policy forbids, or that leads nowhere but to links
 *     others   as open(2)
 */
int beneath_open(const char *root, struct slice rel, int flags, enum conf_links links);

#endif
