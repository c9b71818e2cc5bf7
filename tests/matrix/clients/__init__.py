"""Programs that run one client each, in that client's own environment: they import nothing of the project's."""
