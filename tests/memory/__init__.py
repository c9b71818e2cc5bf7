"""Memory as the kernel counts it: a proxy in a process of its own, its peak read from /proc."""
