/*
 * gateway/tls_selfsigned.h - a certificate for this machine's own use.
 *
 * Threads  a process of one thread
 */
#ifndef GATEWAY_TLS_SELFSIGNED_H
#define GATEWAY_TLS_SELFSIGNED_H

/* Write a new EC P-256 key (PEM, 0600) and a certificate for localhost, 127.0.0.1 and ::1,
 * valid for 30 days.  0, or -1. */
int tls_selfsigned(const char *certificate_path, const char *key_path);

#endif
