"""Work in processes: start, watch, claim, stop and explain them."""
