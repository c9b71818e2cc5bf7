"""Several workers: the pure parts alone, and real processes from outside."""
