/*
 * gateway/version.h - what this build calls itself: --version, SERVER_SOFTWARE, the Server
 * field.
 */
#ifndef GATEWAY_VERSION_H
#define GATEWAY_VERSION_H

#define H2CGI_VERSION "0.1.0"

#endif
