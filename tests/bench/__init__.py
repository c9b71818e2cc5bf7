"""Tests of `proxy.bench`."""
