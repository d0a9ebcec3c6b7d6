"""Experiments: YAML files only, packaged so that `gcahng train quickstart` finds them anywhere."""
