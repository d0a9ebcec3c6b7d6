"""What people look at: tables, curves, galleries, pictures of a batch, and the pages with them."""
