"""Real servers and clients on 127.0.0.1 that do exactly what a test says, down to the byte; nothing here is a mock."""
