"""Tables, curves, galleries, pictures of a batch, and the HTML pages that show them."""
