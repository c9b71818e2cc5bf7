"""The soak: half an hour of everything at once, after which nothing may have grown and no List have been wrong."""
