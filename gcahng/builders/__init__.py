"""From the settings of an experiment to the objects that they name."""
