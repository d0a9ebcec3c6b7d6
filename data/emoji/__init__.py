"""Make the data set emoji: fetch eight free sets of drawings, choose the classes, render."""
