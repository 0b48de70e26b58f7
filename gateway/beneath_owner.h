/*
 * gateway/beneath_owner.h - open a path whose links may lead anywhere, as long as each belongs to
 * the owner of what it leads to: who may make a link in a shared folder cannot publish with it
 * what is not his.
 *
 * Threads  any
 * Memory   a path for each link inside a link, on the heap, while they are resolved
 */
#ifndef GATEWAY_BENEATH_OWNER_H
#define GATEWAY_BENEATH_OWNER_H

/*
 * Open path (relative, without "..") below the folder root_fd.  flags as open(2), O_CLOEXEC and
 * what keeps an open from waiting among them.  A descriptor, or -1 with errno: ELOOP for links of
 * another owner, too many of them, and ".." outside of one.
 *
 * The kernel has no such rule, so the path is gone along by hand.  Nothing is looked up twice:
 * each link is read, and its owner asked, through a descriptor of the link itself, and what it
 * leads to is what is open in the end.
 */
int beneath_owner_open(int root_fd, const char *path, int flags);

#endif
