"""What is written: patches, owners, formats, and what follows a write."""
