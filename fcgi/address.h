/*
 * fcgi/address.h - addresses as the INI writes them: unix:/path, host:port, [v6]:port, srv:NAME.
 *
 * Threads  any; but address_parse of a name: init (getaddrinfo blocks)
 */
#ifndef FCGI_ADDRESS_H
#define FCGI_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ADDRESS_HOST = 256 };
#define ADDRESS_SRV "srv:"

/* Does it have to be resolved?  srv:NAME, and host:port where host is no IP address. */
bool address_is_name(const char *text);

/* host:port, [v6]:port.  0, or -1: it is not like that. */
int address_split(const char *text, char ret_host[ADDRESS_HOST], uint16_t *ret_port);

/* 0, or -1: not an address, a path over 107 bytes, or a name that does not resolve. */
int address_parse(const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_len);

#endif
