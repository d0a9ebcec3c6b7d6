"""After training: embed pictures, search them, share and export the model."""
