"""The shell from outside: real sockets on both sides of a running proxy."""
