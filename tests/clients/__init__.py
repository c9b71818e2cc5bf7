"""Real clients through a real proxy in front of the embedded backend, each in a process of its own."""
