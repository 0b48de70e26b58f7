"""Harness of the system tests: the gateway as a process, clients, certificates, peers."""
