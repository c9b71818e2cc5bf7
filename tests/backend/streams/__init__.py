"""The backend's streams: codec and commands by themselves, and whole servers with clients of each protocol."""
