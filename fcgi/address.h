/*
 * fcgi/address.h - addresses as the INI writes them: unix:/path, host:port, [v6]:port.
 *
 * Threads  init (names are resolved with getaddrinfo, which blocks)
 */
#ifndef FCGI_ADDRESS_H
#define FCGI_ADDRESS_H

#include <sys/socket.h>

/* 0, or -1: not an address, a path over 107 bytes, or a name that does not resolve. */
int address_parse(const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_len);

#endif
