"""Towards the clients: `listener` accepts connections, `connection` parses requests, `answer` is written in return."""
