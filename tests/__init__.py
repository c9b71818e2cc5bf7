"""Tests: `core` needs no sockets, `shell` real ones; `vectors` are recordings of real servers."""
