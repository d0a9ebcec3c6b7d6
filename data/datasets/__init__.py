"""The base class of data sets, and one module per data set stored on disk."""
