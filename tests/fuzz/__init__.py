"""Programs that look for faults for as long as they may; `make fuzz` runs them."""
