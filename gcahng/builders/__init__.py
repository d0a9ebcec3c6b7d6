"""Build data sets, networks and losses from the settings of an experiment."""
